import { randomUUID } from 'node:crypto';
import type { BridgeStats } from '../bridge/stats.js';
import type { Clock } from '../clock.js';
import { withoutUriPasswords } from '../addresses/number.js';
import type { Route, Target } from '../config/types.js';
import type { CallEventBus } from '../events/call-event-bus.js';
import type { CallOccurrence, ReplacingInvite } from '../events/call-events.js';
import type { RecordedEnd, CallFacts } from '../events/call-record.js';
import { agentTargetOf } from '../pranthora/agent-target.js';
import type { IncomingInvite } from '../signaling/sip-endpoint.js';
import type { CallEnd } from './call-end.js';
import { callerIdentity, type CallerIdentity } from './caller-identity.js';
import type { CallState } from './call-state.js';
import type { LiveCall } from './live-call.js';

/** Publishes an event of a call. */
export type Report = (occurrence: CallOccurrence) => void;

/** A call can be found by so many of the Call-IDs that replaced its caller. */
const MAX_REPLACED_BY = 32;

export interface CallReporterOptions {
  readonly invite: IncomingInvite;
  readonly did: string;
  readonly route: Route | undefined;
  readonly sipEngine: string;
  readonly mediaEngine: string;
  readonly clock: Clock;
  readonly wallTime: () => Date;
  readonly events: CallEventBus;
}

/**
 * Reports a call to the outside: keeps the facts known of it, publishes its events with them, and shows them to `/calls`.
 * The call's logic calls nothing else that observes it.
 */
export class CallReporter {
  /** The latest figures of its media. */
  stats: BridgeStats | undefined;
  /** The codec and the target are read from them, as soon as there are any. */
  media: { readonly codec: string | undefined } | undefined;
  agents: { readonly current: Target | undefined } | undefined;
  readonly #options: CallReporterOptions;
  readonly #identity: CallerIdentity;
  readonly #replacedBy: string[] = [];
  #sipSource: string;
  readonly #agentCallId = randomUUID();
  readonly #receivedAt: Date;
  readonly #receivedAtMs: number;
  #answeredAt: Date | undefined;
  /** Undefined when they have changed; of `#codec` and `#target`. */
  #facts: CallFacts | undefined;
  #codec: string | undefined;
  #target: Target | undefined;

  constructor(options: CallReporterOptions) {
    this.#options = options;
    this.#identity = callerIdentity((name) => options.invite.header(name));
    this.#sipSource = options.invite.source.address;
    this.#target = options.route?.targets[0];
    this.#receivedAt = options.wallTime();
    this.#receivedAtMs = options.clock.nowMs();
  }

  /** Since the INVITE. */
  get durationMs(): number {
    return Math.round(this.#options.clock.nowMs() - this.#receivedAtMs);
  }

  /** The same object until one of them changes. */
  get facts(): CallFacts {
    const codec = this.media?.codec;
    const target = this.agents ? this.agents.current : this.#target;
    if (this.#facts && codec === this.#codec && target === this.#target) return this.#facts;
    this.#codec = codec;
    this.#target = target;
    return (this.#facts = this.#currentFacts());
  }

  /** Bound: it is handed to the parts of the call. */
  readonly report: Report = (occurrence) => {
    const { clock, wallTime, events } = this.#options;
    events.publish({ ...occurrence, call: this.facts, atMs: clock.nowMs(), wallMs: wallTime().getTime() });
  };

  /** The call's first events. `registration` names the one the INVITE came over. */
  received(registration: string | undefined): void {
    const { source } = this.#options.invite;
    this.report({ event: 'call.received', source, ...(registration !== undefined && { registration }) });
    if (this.#options.route) this.report({ event: 'call.routed' });
  }

  /** Another caller has taken the place of the one so far. */
  replaced(invite: IncomingInvite): void {
    this.#sipSource = invite.source.address;
    if (this.#replacedBy.length < MAX_REPLACED_BY) this.#replacedBy.push(invite.callId);
    this.#facts = undefined;
    this.report({ event: 'call.replaced', ...replacingInvite(invite) });
  }

  /** Whether the call has that Call-ID, of its first INVITE or of one that replaced it. */
  hasCallId(callId: string): boolean {
    return callId === this.#options.invite.callId || this.#replacedBy.includes(callId);
  }

  /** Our 200 has been sent; the call may be over by then. */
  answered(): void {
    this.#answeredAt = this.#options.wallTime();
    this.#facts = undefined;
  }

  /** The call's last event. */
  closed(end: CallEnd): void {
    const { durationMs, stats } = this;
    const ending = this.#ending(end);
    this.report({
      ...{ event: 'call.closed', end: ending, durationMs, sipSource: this.#sipSource },
      ...(stats && { stats }),
    });
  }

  live(state: CallState): LiveCall {
    const { facts, durationMs, stats } = this;
    return { ...facts, state, durationMs, sipSource: this.#sipSource, ...(stats && { media: stats }) };
  }

  #ending({ endedBy, reason, detail, outcome, sipStatus, rejection, closeCode }: CallEnd): RecordedEnd {
    return {
      ...{ endedBy, reason, detail, outcome },
      sipStatus: this.#answeredAt ? 200 : (sipStatus ?? rejection?.status ?? 500),
      ...(closeCode !== undefined && { closeCode }),
    };
  }

  #currentFacts(): CallFacts {
    const { invite, did, route, sipEngine, mediaEngine } = this.#options;
    const target = this.#target;
    return {
      callId: invite.callId,
      agentCallId: this.#agentCallId,
      ...(this.#replacedBy.length > 0 && { replacedBy: [...this.#replacedBy] }),
      from: invite.from.user || withoutUriPasswords(invite.from.uri),
      ...this.#identity,
      to: invite.to.user || withoutUriPasswords(invite.to.uri),
      did,
      ...(route && { route: route.name }),
      ...(route && target && { mode: target.mode, ...agentTargetOf(target) }),
      ...{ sipEngine, mediaEngine },
      ...(this.#codec !== undefined && { codec: this.#codec }),
      receivedAt: this.#receivedAt.toISOString(),
      ...(this.#answeredAt && { answeredAt: this.#answeredAt.toISOString() }),
    };
  }
}

/** What the events of a replacement say of its INVITE. */
export const replacingInvite = ({ callId, from, source }: IncomingInvite): ReplacingInvite => ({
  ...{ replacedBy: callId, from: from.user || from.uri, source },
});
