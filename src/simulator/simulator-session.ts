import { EventEmitter } from 'node:events';
import { WebSocket } from 'ws';
import type { CancelTimer, Clock } from '../clock.js';
import { MarkLedger } from './mark-ledger.js';
import { FRAME_MS, WebSocketWire, type SimulatorWire } from './simulator-wire.js';
import type {
  SimulatorProtocol,
  SimulatorSessionEvents,
  SimulatorSessionOptions,
  SimulatorSessionReport,
} from './session-report.js';
import { SpeechPump } from './speech-pump.js';
import { levelDbfs, pcmBytes, pcmSamples } from './speech.js';
import { TelephonyWire, type StreamStart } from './telephony-wire.js';
import { UplinkRecord } from './uplink-record.js';
import { UplinkAudit, type Violation, type ViolationKind } from './uplink-audit.js';

/**
 * How a simulated agent behaves; `this` is free for a scenario's own state when each session gets its own object.
 * Without `onOpen` the session starts at once.
 */
export interface Scenario {
  /** The HTTP status that the handshake, or else the upgrade, is refused with. Nothing else happens then. */
  readonly httpStatus?: number;
  onOpen?(session: SimulatorSession): void;
  /** One message of the caller's audio, as 16 kHz PCM whatever the protocol. */
  onAudio?(session: SimulatorSession, bytes: Buffer, nowMs: number): void;
  /** The same as it is on the wire: PCM, or G.711. */
  onMedia?(session: SimulatorSession, payload: Buffer, nowMs: number): void;
  /** A mark has come back. */
  onMark?(session: SimulatorSession, name: string, nowMs: number): void;
  onText?(session: SimulatorSession, text: string): void;
  onClose?(session: SimulatorSession, code: number, reason: string): void;
}

export type {
  SimulatorProtocol,
  SimulatorSessionEvents,
  SimulatorSessionOptions,
  SimulatorSessionReport,
} from './session-report.js';

/** What the guide's example says when an utterance has been sent. */
const SAID = 'tts_completed';

const SAMPLES_PER_MS = 16;
const MAX_VIOLATIONS_KEPT = 1_000;

/** One client's connection: what a scenario can do with it, and everything it did. */
export class SimulatorSession extends EventEmitter<SimulatorSessionEvents> {
  readonly id: number;
  readonly protocol: SimulatorProtocol;
  readonly client: string;
  readonly agentId: string | undefined;
  readonly workflowId: string | undefined;
  /** On the simulator's clock, as all times here. */
  readonly openedAtMs: number;
  readonly violations: Violation[] = [];
  readonly #socket: WebSocket;
  readonly #clock: Clock;
  readonly #record: UplinkRecord;
  readonly #pump: SpeechPump;
  readonly #wire: SimulatorWire;
  readonly #decode: (payload: Buffer) => Buffer;
  readonly #audit: UplinkAudit;
  readonly #marks: MarkLedger;
  readonly #timers = new Set<CancelTimer>();
  readonly #violationCounts = new Map<ViolationKind, number>();
  /** What has to wait until the client has begun the stream. */
  #deferred: (() => void)[] = [];
  #speakingUntilMs = 0;
  #started = false;
  #bytesSent = 0;
  #interruptions = 0;
  #closedByServer = false;
  #closedAtMs: number | undefined;
  #closeCode: number | undefined;
  #closeReason: string | undefined;

  constructor(socket: WebSocket, options: SimulatorSessionOptions) {
    super();
    this.id = options.id;
    this.protocol = options.protocol;
    this.client = options.client;
    this.agentId = options.agentId;
    this.workflowId = options.workflowId;
    this.#socket = socket;
    this.#clock = options.clock;
    this.openedAtMs = options.clock.nowMs();
    const report = (violation: Violation): void => {
      // What was on its way when the client was sent away is not its fault.
      if (!this.#closedByServer) this.#addViolation(violation);
    };
    this.#wire = options.protocol === 'websocket' ? new WebSocketWire(report) : new TelephonyWire(report);
    this.#decode = this.#wire.decoder();
    this.#audit = new UplinkAudit(report, this.#wire.frameBytes, options.stalledMs);
    this.#marks = new MarkLedger(report);
    this.#record = new UplinkRecord(options.recordMs, this.#wire.frameBytes);
    this.#pump = new SpeechPump({
      pieceBytes: this.#wire.pieceBytes,
      after: (delayMs, fire) => this.after(delayMs, fire),
      onPiece: (pcm) => this.sendAudio(pcm),
      onEndOfUtterance: () => this.mark(),
    });
  }

  /** Listens to the client from now on, on behalf of `scenario`. */
  run(scenario: Scenario): void {
    this.#socket.on('message', (data, isBinary) => {
      if (Buffer.isBuffer(data)) this.#onMessage(scenario, data, isBinary);
    });
    // What breaks the WebSocket protocol ends in a close code, which says enough.
    this.#socket.on('error', () => undefined);
    this.#socket.on('close', (code, reason) => this.#onClose(scenario, code, reason.toString('utf8')));
    if (scenario.onOpen) scenario.onOpen(this);
    else this.start();
  }

  get isClosed(): boolean {
    return this.#closedAtMs !== undefined;
  }

  /** True from the first byte of an utterance until the caller has heard the last one, if they play it in real time. */
  get isSpeaking(): boolean {
    return !this.#pump.isEmpty || this.#clock.nowMs() < this.#speakingUntilMs;
  }

  /**
   * The scenario listens from now on. Sends `start_media_streaming` where the client waits for that; in the telephony
   * protocol the client begins by itself.
   */
  start(): void {
    this.#started = true;
    const message = this.#wire.startMessage();
    if (message === undefined) return;
    this.sendText(message);
    this.#onStarted();
  }

  /** One message of speech, 16 kHz PCM. On the pure WebSocket these bytes as they are, even half a sample. */
  sendAudio(bytes: Buffer): void {
    this.#whenOpen(() => this.sendMedia(this.#wire.encode(bytes)));
  }

  /** One message of speech, with these bytes on the wire: PCM, or G.711 of the client's law. */
  sendMedia(payload: Uint8Array): void {
    this.#whenOpen(() => {
      this.#speakingUntilMs = Math.max(this.#speakingUntilMs, this.#clock.nowMs()) + this.#durationMs(payload.length);
      this.#bytesSent += payload.length;
      this.#socket.send(this.#wire.speechMessage(payload));
    });
  }

  /** Asks to be told when the speech sent so far has been played. Nothing on the pure WebSocket. */
  mark(name: string = SAID): void {
    this.#whenOpen(() => {
      const message = this.#wire.markMessage(name);
      if (message === undefined) return;
      this.#marks.send(name, Math.max(this.#speakingUntilMs, this.#clock.nowMs()));
      this.sendText(message);
    });
  }

  /** One text message, as it is. */
  sendText(text: string): void {
    this.#socket.send(text);
  }

  /**
   * Speaks as TTS does: four times as fast as one can listen, in odd pieces, with a mark at the end. `onSaid` when the
   * last piece went out.
   */
  say(samples: Int16Array, onSaid?: () => void): void {
    this.emit('speaking', this.#clock.nowMs(), samples.length / SAMPLES_PER_MS);
    this.#pump.say(pcmBytes(samples), onSaid);
  }

  /** Stops speaking and tells the client to stop playing, in the guide's words or in `spelling`. */
  interrupt(spelling?: string): void {
    this.#pump.stop();
    this.#speakingUntilMs = 0;
    this.#interruptions++;
    this.#whenOpen(() => {
      this.#marks.clear(this.#clock.nowMs());
      this.sendText(spelling ?? this.#wire.interruptionMessage());
    });
    this.emit('interrupted', this.#clock.nowMs());
  }

  /** Ends the session with a close frame. */
  close(code: number, reason: string): void {
    this.#leave();
    this.#socket.close(code, reason);
  }

  /** Ends the TCP connection without a word. */
  terminate(): void {
    this.#leave();
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
    return pcmSamples(this.#wire.decoder()(this.receivedMedia()));
  }

  /** The same as it was on the wire. */
  receivedMedia(): Buffer {
    return this.#record.media();
  }

  /** When each recorded message came. */
  get arrivalsMs(): readonly number[] {
    return this.#record.arrivalsMs;
  }

  /** What the client's `start` event said, in the telephony protocol, once it has come. */
  get clientStart(): StreamStart | undefined {
    return this.#wire instanceof TelephonyWire ? this.#wire.start : undefined;
  }

  report(): SimulatorSessionReport {
    const level = levelDbfs(this.receivedAudio());
    return {
      id: this.id,
      protocol: this.protocol,
      client: this.client,
      ...(this.agentId !== undefined && { agentId: this.agentId }),
      ...(this.workflowId !== undefined && { workflowId: this.workflowId }),
      state: this.isClosed ? 'closed' : 'open',
      durationMs: (this.#closedAtMs ?? this.#clock.nowMs()) - this.openedAtMs,
      framesReceived: this.#record.frames,
      bytesReceived: this.#record.bytes,
      levelDbfs: Number.isFinite(level) ? level : null,
      longestGapMs: this.#record.longestGapMs(),
      bytesSent: this.#bytesSent,
      interruptions: this.#interruptions,
      marks: this.#marks.counts,
      ...(this.clientStart && { start: this.clientStart }),
      closedByServer: this.#closedByServer,
      violations: Object.fromEntries(this.#violationCounts),
      ...(this.#closeCode !== undefined && { closeCode: this.#closeCode }),
      ...(this.#closeReason !== undefined && { closeReason: this.#closeReason }),
    };
  }

  #onMessage(scenario: Scenario, data: Buffer, isBinary: boolean): void {
    const nowMs = this.#clock.nowMs();
    const message = this.#wire.read(data, isBinary, nowMs);
    switch (message.kind) {
      case 'audio':
        this.#onAudio(scenario, message.payload, nowMs);
        break;
      case 'start':
        this.#onStarted();
        break;
      case 'stop':
        this.#audit.end(nowMs);
        this.#marks.end(nowMs);
        break;
      case 'mark':
        this.#marks.echo(message.name, nowMs);
        scenario.onMark?.(this, message.name, nowMs);
        break;
      case 'text':
        scenario.onText?.(this, message.text);
        break;
      case 'nothing':
        break;
    }
  }

  #onAudio(scenario: Scenario, payload: Buffer, nowMs: number): void {
    this.#audit.audio(payload.length, nowMs);
    this.#record.add(payload, nowMs);
    if (!this.#started) return;
    scenario.onMedia?.(this, payload, nowMs);
    scenario.onAudio?.(this, this.#decode(payload), nowMs);
  }

  #onStarted(): void {
    const nowMs = this.#clock.nowMs();
    this.#audit.start(nowMs);
    this.emit('started', nowMs);
    for (const act of this.#deferred.splice(0)) act();
  }

  #whenOpen(act: () => void): void {
    if (this.#wire.canSpeak) act();
    else this.#deferred.push(act);
  }

  #leave(): void {
    this.#audit.end(this.#clock.nowMs());
    this.#pump.stop();
    this.#deferred = [];
    this.#closedByServer ||= this.#socket.readyState === WebSocket.OPEN;
  }

  /** Of so many bytes on the wire. */
  #durationMs(byteLength: number): number {
    return (byteLength / this.#wire.frameBytes) * FRAME_MS;
  }

  #onClose(scenario: Scenario, code: number, reason: string): void {
    this.#closedAtMs = this.#clock.nowMs();
    this.#closeCode = code;
    this.#closeReason = reason;
    this.#audit.end(this.#closedAtMs);
    this.#marks.end(this.#closedAtMs);
    if (!this.#closedByServer && this.#wire instanceof TelephonyWire) this.#wire.end(this.#closedAtMs);
    this.#pump.stop();
    this.#deferred = [];
    for (const cancel of this.#timers) cancel();
    this.#timers.clear();
    scenario.onClose?.(this, code, reason);
    this.emit('closed', code, reason);
  }

  #addViolation(violation: Violation): void {
    this.#violationCounts.set(violation.kind, (this.#violationCounts.get(violation.kind) ?? 0) + 1);
    if (this.violations.length < MAX_VIOLATIONS_KEPT) this.violations.push(violation);
    this.emit('violation', violation);
  }
}
