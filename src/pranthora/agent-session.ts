import type { CancelTimer, Clock } from '../clock.js';
import type { Logger } from '../logger.js';
import { AgentConnection } from './connection.js';
import type { AgentEnding } from './endings.js';
import { reconnectDelayMs, type ReconnectLimits } from './reconnect-policy.js';
import { UplinkQueue } from './uplink-queue.js';
import { webSocketProtocol } from './websocket-protocol.js';

export interface AgentSessionOptions {
  /** Complete `ws:`/`wss:` URL including the agent's or workflow's id. */
  readonly url: string;
  readonly apiKey: string;
  readonly connectTimeoutMs: number;
  readonly startTimeoutMs: number;
  readonly reconnect: ReconnectLimits & {
    /** How much of the caller's newest audio to keep while connecting again. */
    readonly keepMs: number;
  };
  readonly clock: Clock;
  readonly logger: Logger;
  /** A number in [0, 1), for jitter. */
  readonly random?: () => number;
}

export interface AgentSessionHandlers {
  /** The agent is ready to hear the caller, for the first time. Milliseconds for the upgrade and from there on. */
  onReady(info: { readonly connectMs: number; readonly startMs: number }): void;
  /**
   * Speech: 16 kHz mono 16-bit little-endian PCM, of any length, so that a sample may be split between two calls. May
   * come before `onReady` (an early greeting). The bytes are the receiver's to keep.
   */
  onAudio(bytes: Uint8Array): void;
  /** Stop playing and discard what is queued. `receivedAtMs` is when the message was read. */
  onInterruption(receivedAtMs: number, spelling: string): void;
  onMark(name: string): void;
  /** The connection is lost and the next attempt (1, 2, …) comes in `delayMs`. What is queued may still be played. */
  onReconnecting(ending: AgentEnding, attempt: number, delayMs: number): void;
  /** A new connection is streaming. The first half of a split sample from the old one must be forgotten. */
  onReconnected(outageMs: number): void;
  /** The agent is gone for good. Exactly once, and never after `close()`. */
  onEnded(ending: AgentEnding): void;
}

export type AgentSessionState = 'connecting' | 'awaiting-start' | 'streaming' | 'reconnecting' | 'ended';

export interface AgentSessionStats {
  readonly framesSent: number;
  /** Frames the agent could not get in time: congestion, or an outage longer than `keepMs`. */
  readonly framesDropped: number;
  readonly bytesReceived: number;
  /** Connections that took the place of a lost one and came to streaming. */
  readonly reconnects: number;
  /** Messages without meaning. */
  readonly ignoredMessages: number;
}

/** An agent that streams for this long is well again: the next loss starts a new count of attempts. */
const STABLE_AFTER_MS = 1_000;
const NO_TIMER: CancelTimer = () => undefined;

/**
 * The conversation with one agent, over one connection after another. Until the agent is ready for the first time any
 * failure ends it at once, for the caller still hears ringing and the PBX can act on the failure; after that, losses
 * that another connection can mend are mended.
 */
export class AgentSession {
  readonly #options: AgentSessionOptions;
  readonly #handlers: AgentSessionHandlers;
  readonly #queue: UplinkQueue;
  readonly #random: () => number;
  #connection: AgentConnection | undefined;
  #state: AgentSessionState = 'connecting';
  #cancelRetry = NO_TIMER;
  /** Attempts to reconnect since the agent was last streaming stably. */
  #attempts = 0;
  #streamingSinceMs: number | undefined;
  #lostAtMs: number | undefined;
  #bytesReceived = 0;
  #reconnects = 0;
  #ignoredMessages = 0;

  constructor(options: AgentSessionOptions, handlers: AgentSessionHandlers) {
    this.#options = options;
    this.#handlers = handlers;
    this.#queue = new UplinkQueue(options.reconnect.keepMs);
    this.#random = options.random ?? Math.random;
  }

  get state(): AgentSessionState {
    return this.#state;
  }

  get stats(): AgentSessionStats {
    return {
      framesSent: this.#queue.sent,
      framesDropped: this.#queue.dropped,
      bytesReceived: this.#bytesReceived,
      reconnects: this.#reconnects,
      ignoredMessages: this.#ignoredMessages,
    };
  }

  /** Call once; what follows is told by the handlers, never from within this call. */
  connect(): void {
    if (this.#state !== 'connecting' || this.#connection) throw new Error('an agent session connects once');
    this.#openConnection();
  }

  /**
   * Sends 20 ms of the caller: 640 bytes of 16 kHz mono 16-bit little-endian PCM, which may be reused at once.
   * Ignored until the agent is ready for the first time; nobody has answered the caller by then.
   */
  sendFrame(frame: Uint8Array, nowMs: number): void {
    if (this.#state === 'reconnecting') this.#queue.hold(frame, nowMs);
    else if (this.#state === 'streaming' && this.#connection) this.#queue.offer(frame, nowMs, this.#connection);
  }

  /** Call every 20 ms: sends what had to wait. */
  tick(nowMs: number): void {
    if (this.#state === 'streaming' && this.#connection) this.#queue.drain(nowMs, this.#connection);
  }

  /** Ends the conversation. No handler is called any more. */
  close(): void {
    if (this.#state === 'ended') return;
    this.#state = 'ended';
    this.#cancelRetry();
    this.#connection?.close();
  }

  #openConnection(): void {
    const { url, apiKey, connectTimeoutMs, startTimeoutMs, clock } = this.#options;
    const connection = new AgentConnection(
      { url, apiKey, connectTimeoutMs, startTimeoutMs, clock, protocol: webSocketProtocol },
      {
        onOpen: () => {
          if (this.#state === 'connecting') this.#state = 'awaiting-start';
        },
        onStart: (info) => {
          this.#onStart(info);
        },
        onAudio: (bytes) => {
          this.#bytesReceived += bytes.length;
          this.#handlers.onAudio(bytes);
        },
        onInterruption: (receivedAtMs, spelling) => {
          this.#handlers.onInterruption(receivedAtMs, spelling);
        },
        onMark: (name) => {
          this.#handlers.onMark(name);
        },
        onIgnored: (what) => {
          this.#onIgnored(what);
        },
        onEnding: (ending) => {
          this.#onEnding(ending);
        },
      },
    );
    this.#connection = connection;
    connection.open();
  }

  #onStart(info: { readonly connectMs: number; readonly startMs: number }): void {
    const nowMs = this.#options.clock.nowMs();
    this.#state = 'streaming';
    this.#streamingSinceMs = nowMs;
    if (this.#lostAtMs === undefined) {
      this.#handlers.onReady(info);
      return;
    }
    const outageMs = nowMs - this.#lostAtMs;
    this.#lostAtMs = undefined;
    this.#reconnects++;
    this.#handlers.onReconnected(outageMs);
    this.tick(nowMs);
  }

  #onIgnored(what: string): void {
    if (this.#ignoredMessages++ === 0) {
      this.#options.logger.debug({ event: 'agent.message-ignored', what }, 'ignored a message from the agent');
    }
  }

  #onEnding(ending: AgentEnding): void {
    const delayMs = this.#wasReady() ? this.#reconnectDelayMs(ending) : 'give-up';
    if (delayMs === 'give-up') {
      this.#state = 'ended';
      this.#handlers.onEnded(ending);
    } else {
      this.#reconnect(ending, delayMs);
    }
  }

  #wasReady(): boolean {
    return this.#state === 'streaming' || this.#state === 'reconnecting';
  }

  #reconnectDelayMs(ending: AgentEnding): number | 'give-up' {
    const { clock, reconnect } = this.#options;
    const nowMs = clock.nowMs();
    this.#lostAtMs ??= nowMs;
    if (this.#streamingSinceMs !== undefined && nowMs - this.#streamingSinceMs >= STABLE_AFTER_MS) this.#attempts = 0;
    this.#streamingSinceMs = undefined;
    return reconnectDelayMs(this.#attempts, ending, reconnect, this.#random);
  }

  #reconnect(ending: AgentEnding, delayMs: number): void {
    this.#state = 'reconnecting';
    this.#attempts++;
    this.#cancelRetry = this.#options.clock.after(delayMs, () => {
      this.#openConnection();
    });
    this.#handlers.onReconnecting(ending, this.#attempts, delayMs);
  }
}
