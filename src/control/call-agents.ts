import type { AgentAddress, BridgeEvent } from '../bridge/messages.js';
import type { CustomParametersConfig, Route, Target } from '../config/types.js';
import type { AgentLoss } from '../events/call-events.js';
import type { CallFacts } from '../events/call-record.js';
import type { AgentEnding } from '../pranthora/endings.js';
import type { CallDependencies } from './call-dependencies.js';
import type { Report } from './call-reporter.js';
import { CallTargets } from './routing/call-targets.js';

export interface CallAgentsOptions {
  readonly route: Route;
  readonly dependencies: CallDependencies;
  readonly facts: CallFacts;
  /** Of the INVITE. */
  readonly header: (name: string) => string | undefined;
  /** What `encoding: auto` stands for. */
  readonly callerLaw: AgentAddress['encoding'];
  readonly report: Report;
}

type EventOf<K extends BridgeEvent['kind']> = Extract<BridgeEvent, { kind: K }>;

/** The agents of a call, one after the other, and the events of their connections. */
export class CallAgents {
  readonly #targets: CallTargets;
  readonly #report: Report;

  constructor({ route, dependencies, facts, header, callerLaw, report }: CallAgentsOptions) {
    const about = aboutCall(facts, dependencies, header);
    this.#targets = new CallTargets(route, { ...dependencies, about, callerLaw });
    this.#report = report;
  }

  /** The one being tried or talking; before the first, the one that will be. */
  get current(): Target | undefined {
    return this.#targets.current;
  }

  /** Why the last one did not take the call, or left it. */
  get lastEnding(): AgentEnding {
    return this.#targets.lastEnding;
  }

  /** The next one to connect to; undefined when there is none left. */
  next(): AgentAddress | undefined {
    const address = this.#targets.next();
    if (address) this.#report({ event: 'agent.connecting' });
    return address;
  }

  /** The configuration has changed. @returns the keys to show to the current agent from now on. */
  renewKeys(routes: readonly Route[]): readonly string[] {
    return this.#targets.renewKeys(routes);
  }

  ready({ connectMs, startMs }: EventOf<'agent-ready'>): void {
    this.#targets.succeeded();
    this.#report({ event: 'agent.connected', connectMs, startMs });
  }

  failed(ending: AgentEnding): void {
    this.#report({ event: 'agent.failed', ...lossOf(ending) });
    this.#targets.failed(ending);
  }

  /** The agent has ended the conversation. */
  ended(ending: AgentEnding): void {
    this.#report({ event: 'agent.ended', ...lossOf(ending) });
  }

  interrupted({ interruption }: EventOf<'interrupted'>): void {
    this.#report({ event: 'agent.interrupted', ...interruption });
  }

  reconnecting({ attempt, delayMs, ending }: EventOf<'agent-reconnecting'>): void {
    this.#report({ event: 'agent.reconnecting', attempt, delayMs, ...lossOf(ending) });
  }

  reconnected({ outageMs }: EventOf<'agent-reconnected'>): void {
    this.#report({ event: 'agent.reconnected', outageMs });
  }

  /** The call is over. */
  release(): void {
    this.#targets.release();
  }
}

const lossOf = ({ kind, detail, closeCode }: AgentEnding): AgentLoss => ({
  ...{ kind, detail },
  ...(closeCode !== undefined && { closeCode }),
});

/** What every agent of a call learns of it. */
function aboutCall(
  facts: CallFacts,
  wanted: { readonly customParameters: CustomParametersConfig; readonly sendCallId: boolean },
  header: (name: string) => string | undefined,
): Pick<AgentAddress, 'callSid' | 'agentCallId' | 'customParameters'> {
  const { callId, agentCallId } = facts;
  const parameters = customParameters(wanted.customParameters, facts, header);
  return { callSid: callId, ...(wanted.sendCallId && { agentCallId }), customParameters: parameters };
}

/** The `customParameters` of the telephony protocol's `start` message, as far as the operator lets them out. */
function customParameters(
  wanted: CustomParametersConfig,
  { from, fromName, assertedIdentity, to, did, callId }: CallFacts,
  header: (name: string) => string | undefined,
): Record<string, string> {
  const { headers = [], ...flags } = wanted;
  const known = { from, fromName, assertedIdentity, to, did, sipCallId: callId };
  const shown: [string, string][] = [];
  for (const [name, value] of Object.entries(known)) {
    if (value !== undefined && flags[name as keyof typeof known]) shown.push([name, value]);
  }
  for (const name of headers) {
    const value = header(name);
    if (value !== undefined) shown.push([name, value]);
  }
  return Object.fromEntries(shown);
}
