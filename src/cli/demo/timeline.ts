import type { Clock } from '../../clock.js';
import type { LogFields, Logger } from '../../logger.js';
import type { SimulatorSession } from '../../simulator/simulator-session.js';
import type { TestCall } from '../../phone/test-call.js';

type Source = 'SIP' | 'bridge' | 'agent' | 'caller';

/** Tells what happens as it happens, in milliseconds since the beginning. */
export class Timeline {
  readonly #clock: Clock;
  readonly #startMs: number;
  readonly #print: (line: string) => void;

  constructor(clock: Clock, print: (line: string) => void) {
    this.#clock = clock;
    this.#startMs = clock.nowMs();
    this.#print = print;
  }

  say(source: Source, what: string): void {
    const atMs = Math.round(this.#clock.nowMs() - this.#startMs);
    this.#print(`${String(atMs).padStart(6)} ms  ${source.padEnd(6)}  ${what}`);
  }

  followCall(call: TestCall): void {
    call.on('progress', ({ direction, what }) => this.say('SIP', `${direction === 'sent' ? '→' : '←'} ${what}`));
  }

  followSession(session: SimulatorSession): void {
    this.say('agent', `WebSocket opened for ${session.agentId ?? session.workflowId ?? 'nobody'}`);
    session.on('started', () => this.say('agent', 'sends start_media_streaming'));
    session.on('speaking', (_atMs, durationMs) =>
      this.say('agent', `speaks for ${seconds(durationMs)}, sent faster than real time`),
    );
    session.on('interrupted', () => this.say('agent', 'is talked over: sends stop'));
    session.on('violation', ({ kind, detail }) => this.say('agent', `complains: ${kind}: ${detail}`));
    session.on('closed', (code) => this.say('agent', `WebSocket closed with ${code}`));
  }

  /** What the bridge logs of the call, in a few words. */
  followLog(fields: LogFields): void {
    const what = BRIDGE_EVENTS[fields.event]?.(fields);
    if (what !== undefined) this.say('bridge', what);
  }
}

const BRIDGE_EVENTS: Readonly<Record<string, (fields: LogFields) => string>> = {
  'call.routed': ({ did, route }) => `${String(did)} goes to route ${String(route)}`,
  'agent.connected': ({ connectMs, startMs }) =>
    `agent ready: connected in ${String(connectMs)} ms, started in ${String(startMs)} ms`,
  'call.answered': ({ codec }) => `answered with ${String(codec)}`,
  'agent.interrupted': ({ discardedMs }) => `discarded ${seconds(Number(discardedMs))} of speech`,
  'call.ended': ({ endedBy, reason }) => `call ended by the ${String(endedBy)}: ${String(reason)}`,
};

/** Hands every line to `onLine` as well, whatever its level. */
export function tapped(logger: Logger, onLine: (fields: LogFields) => void): Logger {
  const both =
    (level: 'debug' | 'info' | 'warn' | 'error') =>
    (fields: LogFields, message?: string): void => {
      onLine(fields);
      logger[level](fields, message);
    };
  return {
    debug: both('debug'),
    info: both('info'),
    warn: both('warn'),
    error: both('error'),
    child: (fields) => tapped(logger.child(fields), onLine),
  };
}

export function seconds(durationMs: number): string {
  return `${(durationMs / 1_000).toFixed(1)} s`;
}
