import { EventEmitter } from 'node:events';
import type { WebSocket } from 'ws';
import type { CancelTimer, Clock } from '../clock.js';
import { durationMs, levelDbfs, pcmBytes, pcmSamples } from './speech.js';
import { UplinkAudit, type Violation, type ViolationKind } from './uplink-audit.js';

/**
 * How a simulated agent behaves; `this` is free for a scenario's own state when each session gets its own object.
 * Without `onOpen` the session starts at once.
 */
export interface Scenario {
  onOpen?(session: SimulatorSession): void;
  /** One binary message of the caller's. */
  onAudio?(session: SimulatorSession, bytes: Buffer, nowMs: number): void;
  onText?(session: SimulatorSession, text: string): void;
  onClose?(session: SimulatorSession, code: number, reason: string): void;
}

export interface SimulatorSessionOptions {
  readonly id: number;
  readonly agentId?: string;
  readonly workflowId?: string;
  readonly clock: Clock;
  /** How much of the caller's audio, and of its timing, to keep. */
  readonly recordMs: number;
}

export interface SimulatorSessionEvents {
  started: [atMs: number];
  /** An utterance begins. */
  speaking: [atMs: number, durationMs: number];
  interrupted: [atMs: number];
  violation: [violation: Violation];
  /** Last of all. */
  closed: [code: number, reason: string];
}

/** Plain JSON: what became of one connection. */
export interface SimulatorSessionReport {
  readonly id: number;
  readonly agentId?: string;
  readonly workflowId?: string;
  readonly state: 'open' | 'closed';
  readonly durationMs: number;
  readonly framesReceived: number;
  readonly bytesReceived: number;
  /** Of what was recorded; null without any sound. */
  readonly levelDbfs: number | null;
  /** Between two of the recorded messages; null with less than two. */
  readonly longestGapMs: number | null;
  readonly bytesSent: number;
  readonly interruptions: number;
  readonly violations: Readonly<Partial<Record<ViolationKind, number>>>;
  readonly closeCode?: number;
  readonly closeReason?: string;
}

/** TTS comes faster than real time and in pieces that respect neither frames nor samples: 100 ms and half a sample. */
const CHUNK_BYTES = 3_201;
const CHUNK_INTERVAL_MS = 25;

const FRAME_MS = 20;
const MAX_VIOLATIONS_KEPT = 1_000;

/** One client's connection: what a scenario can do with it, and everything it did. */
export class SimulatorSession extends EventEmitter<SimulatorSessionEvents> {
  readonly id: number;
  readonly agentId: string | undefined;
  readonly workflowId: string | undefined;
  /** On the simulator's clock, as all times here. */
  readonly openedAtMs: number;
  readonly violations: Violation[] = [];
  /** When each recorded message came. */
  readonly arrivalsMs: number[] = [];
  readonly #socket: WebSocket;
  readonly #clock: Clock;
  readonly #recordMs: number;
  readonly #recorded: Buffer[] = [];
  readonly #audit: UplinkAudit;
  readonly #timers = new Set<CancelTimer>();
  readonly #violationCounts = new Map<ViolationKind, number>();
  #unsent: Buffer[] = [];
  #cancelChunk: CancelTimer | undefined;
  #onSaid: (() => void) | undefined;
  #speakingUntilMs = 0;
  #started = false;
  #framesReceived = 0;
  #bytesReceived = 0;
  #recordedBytes = 0;
  #bytesSent = 0;
  #interruptions = 0;
  #closedAtMs: number | undefined;
  #closeCode: number | undefined;
  #closeReason: string | undefined;

  constructor(socket: WebSocket, options: SimulatorSessionOptions) {
    super();
    this.id = options.id;
    this.agentId = options.agentId;
    this.workflowId = options.workflowId;
    this.#socket = socket;
    this.#clock = options.clock;
    this.#recordMs = options.recordMs;
    this.openedAtMs = options.clock.nowMs();
    this.#audit = new UplinkAudit((violation) => {
      this.#addViolation(violation);
    });
  }

  /** Listens to the client from now on, on behalf of `scenario`. */
  run(scenario: Scenario): void {
    this.#socket.on('message', (data, isBinary) => {
      if (Buffer.isBuffer(data)) this.#onMessage(scenario, data, isBinary);
    });
    // What breaks the WebSocket protocol ends in a close code, which says enough.
    this.#socket.on('error', () => undefined);
    this.#socket.on('close', (code, reason) => {
      this.#onClose(scenario, code, reason.toString('utf8'));
    });
    if (scenario.onOpen) scenario.onOpen(this);
    else this.start();
  }

  get isClosed(): boolean {
    return this.#closedAtMs !== undefined;
  }

  /** True from the first byte of an utterance until the caller has heard the last one, if they play it in real time. */
  get isSpeaking(): boolean {
    return this.#unsent.length > 0 || this.#clock.nowMs() < this.#speakingUntilMs;
  }

  /** Sends `start_media_streaming`: the client may send audio now. */
  start(): void {
    const nowMs = this.#clock.nowMs();
    this.#started = true;
    this.#audit.start(nowMs);
    this.sendText('{"event_type": "start_media_streaming"}');
    this.emit('started', nowMs);
  }

  /** One binary message, as it is. */
  sendAudio(bytes: Uint8Array): void {
    const nowMs = this.#clock.nowMs();
    this.#speakingUntilMs = Math.max(this.#speakingUntilMs, nowMs) + durationMs(bytes.length);
    this.#bytesSent += bytes.length;
    this.#socket.send(bytes);
  }

  /** One text message, as it is. */
  sendText(text: string): void {
    this.#socket.send(text);
  }

  /** Speaks as TTS does: four times as fast as one can listen, in odd pieces. `onSaid` when the last piece went out. */
  say(samples: Int16Array, onSaid?: () => void): void {
    const bytes = pcmBytes(samples);
    for (let at = 0; at < bytes.length; at += CHUNK_BYTES) this.#unsent.push(bytes.subarray(at, at + CHUNK_BYTES));
    this.#onSaid = onSaid;
    this.emit('speaking', this.#clock.nowMs(), durationMs(bytes.length));
    if (!this.#cancelChunk) this.#sendChunk();
  }

  /** Stops speaking and tells the client to stop playing. */
  interrupt(spelling = 'stop'): void {
    this.#silence();
    this.#speakingUntilMs = 0;
    this.#interruptions++;
    this.sendText(spelling);
    this.emit('interrupted', this.#clock.nowMs());
  }

  /** Ends the session with a close frame. */
  close(code: number, reason: string): void {
    this.#audit.end(this.#clock.nowMs());
    this.#silence();
    this.#socket.close(code, reason);
  }

  /** Ends the TCP connection without a word. */
  terminate(): void {
    this.#audit.end(this.#clock.nowMs());
    this.#silence();
    this.#socket.terminate();
  }

  /** Calls `fire` once, unless the session is closed before. */
  after(delayMs: number, fire: () => void): CancelTimer {
    const cancel = this.#clock.after(delayMs, () => {
      this.#timers.delete(cancel);
      fire();
    });
    this.#timers.add(cancel);
    return () => {
      this.#timers.delete(cancel);
      cancel();
    };
  }

  /** Complains about the client. */
  complain(kind: ViolationKind, detail: string): void {
    this.#addViolation({ kind, detail, atMs: this.#clock.nowMs() });
  }

  /** The caller's audio as recorded, 16 kHz. */
  receivedAudio(): Int16Array {
    return pcmSamples(Buffer.concat(this.#recorded));
  }

  report(): SimulatorSessionReport {
    const level = levelDbfs(this.receivedAudio());
    return {
      id: this.id,
      ...(this.agentId !== undefined && { agentId: this.agentId }),
      ...(this.workflowId !== undefined && { workflowId: this.workflowId }),
      state: this.isClosed ? 'closed' : 'open',
      durationMs: (this.#closedAtMs ?? this.#clock.nowMs()) - this.openedAtMs,
      framesReceived: this.#framesReceived,
      bytesReceived: this.#bytesReceived,
      levelDbfs: Number.isFinite(level) ? level : null,
      longestGapMs: this.#longestGapMs(),
      bytesSent: this.#bytesSent,
      interruptions: this.#interruptions,
      violations: Object.fromEntries(this.#violationCounts),
      ...(this.#closeCode !== undefined && { closeCode: this.#closeCode }),
      ...(this.#closeReason !== undefined && { closeReason: this.#closeReason }),
    };
  }

  #onMessage(scenario: Scenario, data: Buffer, isBinary: boolean): void {
    const nowMs = this.#clock.nowMs();
    if (!isBinary) {
      this.#audit.text(data.length, nowMs);
      scenario.onText?.(this, data.toString('utf8'));
      return;
    }
    this.#audit.audio(data.length, nowMs);
    this.#record(data, nowMs);
    if (this.#started) scenario.onAudio?.(this, data, nowMs);
  }

  #record(bytes: Buffer, nowMs: number): void {
    this.#framesReceived++;
    this.#bytesReceived += bytes.length;
    if (this.arrivalsMs.length < this.#recordMs / FRAME_MS) this.arrivalsMs.push(nowMs);
    if (durationMs(this.#recordedBytes + bytes.length) > this.#recordMs) return;
    this.#recordedBytes += bytes.length;
    this.#recorded.push(bytes);
  }

  #onClose(scenario: Scenario, code: number, reason: string): void {
    this.#closedAtMs = this.#clock.nowMs();
    this.#closeCode = code;
    this.#closeReason = reason;
    this.#audit.end(this.#closedAtMs);
    this.#silence();
    for (const cancel of this.#timers) cancel();
    this.#timers.clear();
    scenario.onClose?.(this, code, reason);
    this.emit('closed', code, reason);
  }

  #sendChunk(): void {
    this.#cancelChunk = undefined;
    const chunk = this.#unsent.shift();
    if (chunk) this.sendAudio(chunk);
    if (this.#unsent.length > 0) {
      this.#cancelChunk = this.after(CHUNK_INTERVAL_MS, () => {
        this.#sendChunk();
      });
      return;
    }
    const onSaid = this.#onSaid;
    this.#onSaid = undefined;
    onSaid?.();
  }

  #silence(): void {
    this.#cancelChunk?.();
    this.#cancelChunk = undefined;
    this.#onSaid = undefined;
    this.#unsent = [];
  }

  #addViolation(violation: Violation): void {
    this.#violationCounts.set(violation.kind, (this.#violationCounts.get(violation.kind) ?? 0) + 1);
    if (this.violations.length < MAX_VIOLATIONS_KEPT) this.violations.push(violation);
    this.emit('violation', violation);
  }

  #longestGapMs(): number | null {
    if (this.arrivalsMs.length < 2) return null;
    let longestMs = 0;
    let previousMs = this.arrivalsMs[0] ?? 0;
    for (const atMs of this.arrivalsMs) {
      longestMs = Math.max(longestMs, atMs - previousMs);
      previousMs = atMs;
    }
    return longestMs;
  }
}
