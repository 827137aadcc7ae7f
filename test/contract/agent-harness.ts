import { vi } from 'vitest';
import type { CancelTimer, Clock } from '../../src/clock.js';
import type { LogFields, Logger } from '../../src/logger.js';
import { AgentSession, type AgentReadyInfo, type AgentSessionOptions } from '../../src/pranthora/agent-session.js';
import type { AgentEnding } from '../../src/pranthora/endings.js';
import { AgentNetwork } from '../../src/pranthora/network.js';
import { FRAME_BYTES, type AudioFormat } from '../../src/pranthora/protocols/protocol.js';
import { steadyClock } from '../support/steady-clock.js';

export const KEY = 'secret-key-of-the-test';
const FRAME_MS = 20;

/** Time that does not run while the machine is busy, and how many timers were left running. */
export class CountingClock implements Clock {
  readonly #pending = new Set<CancelTimer>();

  get pendingTimers(): number {
    return this.#pending.size;
  }

  nowMs(): number {
    return steadyClock.nowMs();
  }

  after(delayMs: number, fire: () => void): CancelTimer {
    const cancel = steadyClock.after(delayMs, () => {
      this.#pending.delete(cancel);
      fire();
    });
    this.#pending.add(cancel);
    return () => {
      this.#pending.delete(cancel);
      cancel();
    };
  }
}

export interface PendingClock extends Clock {
  readonly pendingTimers: number;
}

export type CallOptions = Partial<Omit<AgentSessionOptions, 'clock'>> & { readonly clock?: PendingClock };

/** One side of a call: an agent session and everything it told. */
export class Call {
  readonly session: AgentSession;
  readonly clock: PendingClock;
  /** What happened, in order, but for the format: `ready`, `audio`, `interruption stop`, `mark x`, `reconnecting 1`, `reconnected`, `ended`. */
  readonly events: string[] = [];
  readonly audio: Buffer[] = [];
  readonly endings: AgentEnding[] = [];
  readonly reconnects: { ending: AgentEnding; attempt: number; delayMs: number }[] = [];
  readonly logged: LogFields[] = [];
  readyInfo: AgentReadyInfo | undefined;
  readonly formats: AudioFormat[] = [];
  outageMs: number | undefined;
  interruptedAtMs: number | undefined;
  /** Called on every event, for tests that act from within a handler. */
  onEvent: (event: string) => void = () => undefined;
  #stopTalking: (() => void) | undefined;

  constructor(baseUrl: string, options: CallOptions = {}) {
    this.clock = options.clock ?? new CountingClock();
    this.session = new AgentSession(
      {
        mode: 'websocket',
        baseUrl,
        target: { agentId: 'a1' },
        apiKeys: [KEY],
        settleMs: 0,
        encoding: 'mulaw',
        callSid: 'call-1',
        network: new AgentNetwork(),
        connectTimeoutMs: 2_000,
        startTimeoutMs: 2_000,
        reconnect: { maxAttempts: 3, initialDelayMs: 10, maxDelayMs: 40, keepMs: 400 },
        logger: collectingLogger(this.logged),
        ...options,
        clock: this.clock,
      },
      {
        onFormat: (format) => {
          this.formats.push(format);
        },
        onReady: (info) => {
          this.readyInfo = info;
          this.#note('ready');
        },
        onAudio: (bytes) => {
          this.audio.push(Buffer.from(bytes));
          this.#note('audio');
        },
        onInterruption: (receivedAtMs, spelling) => {
          this.interruptedAtMs = receivedAtMs;
          this.#note(`interruption ${spelling}`);
        },
        onMark: (name) => this.#note(`mark ${name}`),
        onReconnecting: (ending, attempt, delayMs) => {
          this.reconnects.push({ ending, attempt, delayMs });
          this.#note(`reconnecting ${attempt}`);
        },
        onReconnected: (outageMs) => {
          this.outageMs = outageMs;
          this.#note('reconnected');
        },
        onEnded: (ending) => {
          this.endings.push(ending);
          this.#note('ended');
        },
      },
    );
  }

  connect(): this {
    this.session.connect();
    return this;
  }

  /** Waits until `event` has happened `times` times. */
  async until(event: string, times = 1): Promise<void> {
    await vi.waitFor(
      () => {
        const happened = this.events.filter((one) => one === event).length;
        if (happened < times) throw new Error(`no "${event}" in ${JSON.stringify(this.events.slice(-20))}`);
      },
      { interval: 2 },
    );
  }

  /** The one ending there must have been. */
  async ending(): Promise<AgentEnding> {
    await this.until('ended');
    const [ending] = this.endings;
    if (!ending || this.endings.length > 1) throw new Error(`${this.endings.length} endings`);
    return ending;
  }

  /** Sends a frame every 20 ms of real time, numbered in its first byte, and ticks, as the bridge does. */
  talk(): void {
    const originMs = this.clock.nowMs();
    let sent = 0;
    const timer = setInterval(() => {
      for (; originMs + sent * FRAME_MS <= this.clock.nowMs(); sent++) {
        this.session.sendFrame(numberedFrame(sent, this.formats.at(-1)), this.clock.nowMs());
        this.session.tick(this.clock.nowMs());
      }
    }, 5);
    this.#stopTalking = () => clearInterval(timer);
  }

  hangUp(): void {
    this.#stopTalking?.();
    this.session.close();
  }

  #note(event: string): void {
    this.events.push(event);
    this.onEvent(event);
  }
}

export function numberedFrame(number: number, format: AudioFormat = 'pcm16k'): Uint8Array {
  return new Uint8Array(FRAME_BYTES[format]).fill(number % 256);
}

function collectingLogger(lines: LogFields[]): Logger {
  const log = (fields: LogFields): void => void lines.push(fields);
  const logger: Logger = { debug: log, info: log, warn: log, error: log, child: () => logger };
  return logger;
}
