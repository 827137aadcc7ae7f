import type { AgentAddress, BridgeEvent } from '../bridge/messages.js';
import type { CustomParametersConfig, Route, Target } from '../config/types.js';
import type { Logger } from '../logger.js';
import type { AgentEnding } from '../pranthora/endings.js';
import { idsOf } from './call-record-builder.js';
import type { CallFacts } from './call-record.js';
import type { CallTargets } from './routing/call-targets.js';

export interface CallAgentsOptions {
  readonly logger: Logger;
  /** How the last attempt to reach an agent went, for `/health`. */
  readonly onOutcome: (outcome: { ok: boolean; detail: string }) => void;
}

type EventOf<K extends BridgeEvent['kind']> = Extract<BridgeEvent, { kind: K }>;

/** The agents a call has, one after the other, and what the log is told of them. */
export class CallAgents {
  readonly #targets: CallTargets;
  readonly #options: CallAgentsOptions;

  constructor(targets: CallTargets, options: CallAgentsOptions) {
    this.#targets = targets;
    this.#options = options;
  }

  get current(): Target | undefined {
    return this.#targets.current;
  }

  /** Why the last one did not take the call, or left it. */
  get lastEnding(): AgentEnding {
    return this.#targets.lastEnding;
  }

  /** The next one to connect to; undefined when there is none left. */
  next(): AgentAddress | undefined {
    return this.#targets.next();
  }

  /** The configuration has changed. @returns the keys to show to the current agent from now on. */
  renewKeys(routes: readonly Route[]): readonly string[] {
    return this.#targets.renewKeys(routes);
  }

  ready(event: EventOf<'agent-ready'>): void {
    const [connectMs, startMs] = [Math.round(event.connectMs), Math.round(event.startMs)];
    const inMs = Math.round(event.connectMs + event.startMs);
    this.#targets.succeeded();
    this.#options.onOutcome({ ok: true, detail: `last agent connected in ${inMs} ms` });
    this.#options.logger.info({ event: 'agent.connected', ...idsOf(this.current), connectMs, startMs });
  }

  failed(ending: AgentEnding): void {
    const { detail } = ending;
    this.#options.onOutcome({ ok: false, detail });
    this.#options.logger.warn({ event: 'agent.failed', ...idsOf(this.current), detail });
    this.#targets.failed(ending);
  }

  interrupted({ interruption }: EventOf<'interrupted'>): void {
    this.#options.logger.info({ event: 'agent.interrupted', ...interruption });
  }

  reconnecting({ attempt, delayMs, ending }: EventOf<'agent-reconnecting'>): void {
    const { detail } = ending;
    this.#options.logger.warn({ event: 'agent.reconnecting', attempt, delayMs: Math.round(delayMs), detail });
  }

  reconnected({ outageMs }: EventOf<'agent-reconnected'>): void {
    this.#options.logger.info({ event: 'agent.reconnected', outageMs: Math.round(outageMs) });
  }

  /** The call is over. */
  release(): void {
    this.#targets.release();
  }
}

/** What every agent of a call is told about it. */
export function aboutCall(
  facts: CallFacts,
  wanted: { readonly customParameters: CustomParametersConfig; readonly sendCallId: boolean },
  header: (name: string) => string | undefined,
): Pick<AgentAddress, 'callSid' | 'agentCallId' | 'customParameters'> {
  const { callId, agentCallId } = facts;
  const told = customParameters(wanted.customParameters, facts, header);
  return { callSid: callId, ...(wanted.sendCallId && { agentCallId }), customParameters: told };
}

/** What the telephony protocol's `start` tells of the call, as far as the operator lets it. */
function customParameters(
  wanted: CustomParametersConfig,
  { from, fromName, assertedIdentity, to, did, callId }: CallFacts,
  header: (name: string) => string | undefined,
): Record<string, string> {
  const { headers = [], ...flags } = wanted;
  const known = { from, fromName, assertedIdentity, to, did, sipCallId: callId };
  const told: [string, string][] = [];
  for (const [name, value] of Object.entries(known)) {
    if (value !== undefined && flags[name as keyof typeof known]) told.push([name, value]);
  }
  for (const name of headers) {
    const value = header(name);
    if (value !== undefined) told.push([name, value]);
  }
  return Object.fromEntries(told);
}
