import type { CancelTimer } from '../clock.js';
import type { Logger } from '../logger.js';
import type { AgentAddress } from './agent-address.js';
import { AgentAttempt, type AgentAttemptOptions, type AgentReadyInfo } from './agent-attempt.js';
import { ApiKeys } from './api-keys.js';
import { printable, type AgentEnding } from './endings.js';
import { FRAME_BYTES, type AudioFormat } from './protocols/protocol.js';
import { reconnectDelayMs, type ReconnectLimits } from './reconnect-policy.js';
import { UplinkQueue } from './uplink-queue.js';

export type { AgentAddress, AgentMode } from './agent-address.js';
export type { AgentReadyInfo } from './agent-attempt.js';

export interface AgentSessionOptions extends AgentAddress, Omit<AgentAttemptOptions, 'apiKey'> {
  readonly reconnect: ReconnectLimits & {
    /** How much of the caller's newest audio to keep while connecting again. */
    readonly keepMs: number;
  };
  readonly logger: Logger;
  /** A number in [0, 1), for jitter. */
  readonly random?: () => number;
}

export interface AgentSessionHandlers {
  /**
   * What the audio is from now on, both ways: `sendFrame` takes, and `onAudio` gives, this format. Told once, before
   * `onReady` and any audio; and again before `onReconnected` if a new handshake has led to another protocol.
   */
  onFormat(format: AudioFormat): void;
  /** The agent is ready to hear the caller, for the first time. */
  onReady(info: AgentReadyInfo): void;
  /**
   * Speech of any length, so that a 16-bit sample may be split between two calls. May come before `onReady` (an early
   * greeting). The bytes are the receiver's to keep.
   */
  onAudio(bytes: Uint8Array): void;
  /** Stop playing and discard what is queued. `receivedAtMs` is when the message was read. */
  onInterruption(receivedAtMs: number, spelling: string): void;
  /**
   * An utterance ends here. To be answered by `echoMark`, when what came before it has been played or discarded: each
   * mark once, in order. `name` has at most 256 characters, and no more than 256 marks wait at a time.
   */
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
  /** Messages without meaning, and marks beyond the limit. */
  readonly ignoredMessages: number;
}

/** An agent that streams for this long is well again: the next loss starts a new count of attempts. */
const STABLE_AFTER_MS = 1_000;
/** Minutes of speech in short sentences; an agent that sends more at once does not mean it. */
const MAX_PENDING_MARKS = 256;
const NO_TIMER: CancelTimer = () => undefined;

const SESSION_LOST = 1011;

/**
 * The conversation with one agent, over one connection after another. Until the agent is ready for the first time a
 * failure ends it at once, for the caller still hears ringing and the PBX can act on the failure, unless it is of a kind
 * that is over with the next connection; after that, losses that another connection can mend are mended.
 */
export class AgentSession {
  readonly #options: AgentSessionOptions;
  readonly #handlers: AgentSessionHandlers;
  readonly #random: () => number;
  readonly #keys: ApiKeys;
  #queue: UplinkQueue | undefined;
  #format: AudioFormat | undefined;
  #attempt: AgentAttempt | undefined;
  /** The key that `#attempt` shows. */
  #shownKey = '';
  #hasAskedAgain = false;
  #state: AgentSessionState = 'connecting';
  #cancelRetry = NO_TIMER;
  /** Attempts to reconnect since the agent was last streaming stably. */
  #attempts = 0;
  #streamingSinceMs: number | undefined;
  #lostAtMs: number | undefined;
  #framesSent = 0;
  #framesDropped = 0;
  #bytesReceived = 0;
  #reconnects = 0;
  #ignoredMessages = 0;
  /** Marks told and not yet echoed; of these the first `#foreignMarks` came over a connection that is gone. */
  #pendingMarks = 0;
  #foreignMarks = 0;

  constructor(options: AgentSessionOptions, handlers: AgentSessionHandlers) {
    this.#options = options;
    this.#handlers = handlers;
    this.#random = options.random ?? Math.random;
    this.#keys = new ApiKeys(options.apiKeys);
  }

  get state(): AgentSessionState {
    return this.#state;
  }

  get stats(): AgentSessionStats {
    return {
      framesSent: this.#framesSent + (this.#queue?.sent ?? 0),
      framesDropped: this.#framesDropped + (this.#queue?.dropped ?? 0),
      bytesReceived: this.#bytesReceived,
      reconnects: this.#reconnects,
      ignoredMessages: this.#ignoredMessages,
    };
  }

  /** Call once; what follows is told by the handlers, never from within this call. */
  connect(): void {
    if (this.#state !== 'connecting' || this.#attempt) throw new Error('an agent session connects once');
    this.#openConnection();
  }

  /**
   * Sends 20 ms of the caller in the format told by `onFormat`: 640 bytes of PCM, or 160 of G.711. They may be reused
   * at once. Ignored until the agent is ready for the first time; nobody has answered the caller by then.
   */
  sendFrame(frame: Uint8Array, nowMs: number): void {
    if (this.#state === 'reconnecting') this.#queue?.hold(frame, nowMs);
    else if (this.#state === 'streaming' && this.#attempt) this.#queue?.offer(frame, nowMs, this.#attempt);
  }

  /** Call every 20 ms: sends what had to wait. */
  tick(nowMs: number): void {
    if (this.#state === 'streaming' && this.#attempt) this.#queue?.drain(nowMs, this.#attempt);
  }

  /** What came before the oldest mark not yet echoed has been played or discarded. */
  echoMark(name: string): void {
    if (this.#pendingMarks === 0) return;
    this.#pendingMarks--;
    // A new connection knows nothing of the marks of the one before.
    if (this.#foreignMarks > 0) this.#foreignMarks--;
    else this.#attempt?.echoMark(name);
  }

  /** Tells the agent of a key pressed, where it can be told; one pressed between two connections is lost. */
  sendDigit(digit: string): void {
    if (this.#state === 'streaming') this.#attempt?.sendDigit(digit);
  }

  /** What to show from the next connection on; the one there is stays. */
  renewKeys(keys: readonly string[]): void {
    this.#keys.renew(keys);
  }

  /** Ends the conversation. No handler is called any more. */
  close(): void {
    if (this.#state === 'ended') return;
    this.#state = 'ended';
    this.#cancelRetry();
    this.#attempt?.close();
  }

  #openConnection(): void {
    this.#shownKey = this.#keys.current;
    // Once somebody listens to the caller there is nobody to refuse any more.
    const settleMs = this.#wasReady() ? 0 : this.#options.settleMs;
    const options = { ...this.#options, apiKey: this.#shownKey, settleMs };
    this.#attempt = new AgentAttempt(options, {
      onOpen: (format) => this.#onOpen(format),
      onStart: (info) => this.#onStart(info),
      onAudio: (bytes) => {
        this.#bytesReceived += bytes.length;
        this.#handlers.onAudio(bytes);
      },
      onInterruption: (receivedAtMs, spelling) => this.#handlers.onInterruption(receivedAtMs, spelling),
      onMark: (name) => this.#onMark(name),
      onError: (detail) => {
        // It may repeat what the caller said, so it is not for everybody's eyes.
        this.#options.logger.debug({ event: 'agent.error', detail: printable(detail) });
      },
      onIgnored: (what) => this.#onIgnored(what),
      onEnding: (ending) => this.#onEnding(ending),
    });
    this.#attempt.open();
  }

  #onOpen(format: AudioFormat): void {
    if (this.#state === 'connecting') this.#state = 'awaiting-start';
    if (format === this.#format) return;
    this.#format = format;
    this.#renewQueue(format);
    this.#handlers.onFormat(format);
  }

  /** What is kept in another format is lost. */
  #renewQueue(format: AudioFormat): void {
    const old = this.#queue;
    this.#queue = new UplinkQueue(this.#options.reconnect.keepMs, FRAME_BYTES[format]);
    if (!old) return;
    this.#framesSent += old.sent;
    this.#framesDropped += old.dropped + old.waiting;
  }

  #onStart(info: AgentReadyInfo): void {
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

  #onMark(name: string): void {
    if (this.#pendingMarks >= MAX_PENDING_MARKS) {
      this.#onIgnored('a mark, with too many waiting');
      return;
    }
    this.#pendingMarks++;
    this.#handlers.onMark(name);
  }

  #onIgnored(what: string): void {
    if (this.#ignoredMessages++ === 0) {
      this.#options.logger.debug({ event: 'agent.message-ignored', what }, 'ignored a message from the agent');
    }
  }

  #onEnding(ending: AgentEnding): void {
    this.#foreignMarks = this.#pendingMarks;
    if (!this.#wasReady() && this.#mayAskAgain(ending)) {
      this.#state = 'connecting';
      this.#openConnection();
      return;
    }
    const delayMs = this.#wasReady() ? this.#reconnectDelayMs(ending) : 'give-up';
    if (delayMs === 'give-up') {
      this.#state = 'ended';
      this.#handlers.onEnded(ending);
    } else {
      this.#reconnect(ending, delayMs);
    }
  }

  /** Whether to connect again while the caller still hears ringing: once for a session lost, and for each other key. */
  #mayAskAgain(ending: AgentEnding): boolean {
    if (ending.isKeyRefused) return this.#keys.refuse(this.#shownKey);
    const isFirst = ending.closeCode === SESSION_LOST && !this.#hasAskedAgain;
    this.#hasAskedAgain ||= isFirst;
    return isFirst;
  }

  #wasReady(): boolean {
    return this.#state === 'streaming' || this.#state === 'reconnecting';
  }

  #reconnectDelayMs(ending: AgentEnding): number | 'give-up' {
    const { clock, reconnect } = this.#options;
    const nowMs = clock.nowMs();
    this.#lostAtMs ??= nowMs;
    if (this.#streamingSinceMs !== undefined && nowMs - this.#streamingSinceMs >= STABLE_AFTER_MS) {
      this.#attempts = 0;
      this.#keys.accept();
    }
    this.#streamingSinceMs = undefined;
    if (ending.isKeyRefused) return this.#keys.refuse(this.#shownKey) ? 0 : 'give-up';
    return reconnectDelayMs(this.#attempts, ending, reconnect, this.#random);
  }

  #reconnect(ending: AgentEnding, delayMs: number): void {
    this.#state = 'reconnecting';
    this.#attempts++;
    this.#cancelRetry = this.#options.clock.after(delayMs, () => this.#openConnection());
    this.#handlers.onReconnecting(ending, this.#attempts, delayMs);
  }
}
