import type { CallSetups } from '../dialog/call-setups.js';
import type { AgentLogger, AgentClock } from '../environment.js';
import type { Flow } from '../transport/flow.js';
import type { Methods } from '../syntax/methods.js';
import type { Subscriptions } from '../dialog/subscriptions.js';
import type { RequestTarget } from '../transport/target.js';
import type { SessionPolicy } from '../dialog/session-expires.js';
import type { SipTimers } from '../transaction/timers.js';
import type { TransactionLayer } from '../transaction/layer.js';
import type { UsageStore } from '../dialog/usage-store.js';
import type { Candidates } from '../transport/candidates.js';
import type { WireClient } from '../wire/client.js';

/** The dependencies shared by the user agent server and the user agent client. */
export interface Core {
  readonly clock: AgentClock;
  readonly timers: SipTimers;
  /** The policy for session timers. */
  readonly session: SessionPolicy;
  readonly logger: AgentLogger;
  readonly methods: Methods;
  readonly layer: TransactionLayer;
  readonly usages: UsageStore;
  readonly setups: CallSetups;
  readonly subscriptions: Subscriptions;
  /** The flow to the best candidate for a target. Rejects with an Error when there is none. */
  readonly flowTo: (target: RequestTarget) => Promise<Flow>;
  /** All candidates for a target. Rejects as above. */
  readonly candidatesFor: (target: RequestTarget) => Promise<Candidates>;
  /** A client that handles requests of this method. */
  readonly pickClient: (method: string) => WireClient | undefined;
}
