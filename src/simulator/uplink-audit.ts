/** What a client can do wrong when it asks to come in. */
export type AdmissionViolation = 'api-key' | 'api-key-in-url' | 'agent-id' | 'unknown-agent' | 'handshake-body';

/** What it can do wrong with its audio. */
export type StreamViolation = 'audio-before-start' | 'odd-length' | 'frame-size' | 'burst' | 'gap' | 'no-audio';

/** The rest depends on the protocol: text where there must be none, and in the telephony protocol everything but audio. */
export type ViolationKind =
  | AdmissionViolation
  | StreamViolation
  | 'text-frame'
  | 'binary-frame'
  | 'json'
  | 'unknown-event'
  | 'start-fields'
  | 'start-twice'
  | 'no-start'
  | 'no-stop'
  | 'after-stop'
  | 'stream-sid'
  | 'sequence'
  | 'base64'
  | 'mark-unknown'
  | 'mark-early'
  | 'mark-missing';

export interface Violation {
  readonly kind: ViolationKind;
  readonly detail: string;
  readonly atMs: number;
}

const MAX_GAP_MS = 100;
const FIRST_AUDIO_WITHIN_MS = 1_000;

/** So many frames within so much time are one too many. */
const BURSTS = [
  { frames: 6, withinMs: 5 },
  { frames: 16, withinMs: 100 },
] as const;
const REMEMBERED_ARRIVALS = 16;
/** Who stood still longer than this, this short a time ago, reads together what came one by one. */
const EXCUSING_STALL_MS = 30;
const EXCUSED_FOR_MS = 150;

/** How much of the time between the two the auditor's own thread stood still. */
export type StalledMs = (sinceMs: number, untilMs: number) => number;

/**
 * Watches one client's messages for what the guide asks ("stream continuously in small chunks, do not buffer or batch")
 * and for what Pranthora is known to drop. Pure: it is told when what came, and when it was itself that was late.
 */
export class UplinkAudit {
  readonly #report: (violation: Violation) => void;
  readonly #frameBytes: number;
  readonly #stalledMs: StalledMs;
  /** Ring of the newest arrivals, indexed by frame number. */
  readonly #arrivalsMs = new Float64Array(REMEMBERED_ARRIVALS);
  #frames = 0;
  #startedAtMs: number | undefined;
  #lastFrameAtMs: number | undefined;
  #inBurst = false;
  #ended = false;

  /** @param frameBytes what 20 ms of the caller have. */
  constructor(report: (violation: Violation) => void, frameBytes: number, stalledMs: StalledMs = () => 0) {
    this.#report = report;
    this.#frameBytes = frameBytes;
    this.#stalledMs = stalledMs;
  }

  /** The client may send audio from now on, and should. */
  start(nowMs: number): void {
    this.#startedAtMs ??= nowMs;
  }

  audio(byteLength: number, nowMs: number): void {
    if (this.#ended) return;
    this.#checkSize(byteLength, nowMs);
    if (this.#startedAtMs === undefined) {
      this.#report({ kind: 'audio-before-start', detail: `${byteLength} bytes`, atMs: nowMs });
      return;
    }
    this.#checkGap(nowMs);
    this.#lastFrameAtMs = nowMs;
    this.#arrivalsMs[this.#frames++ % REMEMBERED_ARRIVALS] = nowMs;
    this.#checkBurst(nowMs);
  }

  /** Nothing more is expected of the client: it closed, or was told to. */
  end(nowMs: number): void {
    if (this.#ended) return;
    this.#checkGap(nowMs);
    this.#ended = true;
  }

  #checkSize(byteLength: number, nowMs: number): void {
    if (byteLength === this.#frameBytes) return;
    const kind = byteLength % 2 === 1 ? 'odd-length' : 'frame-size';
    this.#report({ kind, detail: `${byteLength} bytes instead of ${this.#frameBytes}`, atMs: nowMs });
  }

  #checkGap(nowMs: number): void {
    if (this.#startedAtMs === undefined) return;
    if (this.#lastFrameAtMs === undefined) {
      const waitedMs = nowMs - this.#startedAtMs;
      const isLate = this.#isLonger(FIRST_AUDIO_WITHIN_MS, this.#startedAtMs, nowMs);
      if (isLate) this.#complain('no-audio', waitedMs, 'after the start', nowMs);
      return;
    }
    const gapMs = nowMs - this.#lastFrameAtMs;
    if (this.#isLonger(MAX_GAP_MS, this.#lastFrameAtMs, nowMs)) this.#complain('gap', gapMs, 'without audio', nowMs);
  }

  /** The auditor's own standstills not counted, which are not asked about before they matter. */
  #isLonger(limitMs: number, sinceMs: number, nowMs: number): boolean {
    const tookMs = nowMs - sinceMs;
    return tookMs > limitMs && tookMs - this.#stalledMs(sinceMs, nowMs) > limitMs;
  }

  #complain(kind: ViolationKind, durationMs: number, what: string, atMs: number): void {
    this.#report({ kind, detail: `${durationMs.toFixed(1)} ms ${what}`, atMs });
  }

  /** Once a burst, however long it lasts. */
  #checkBurst(nowMs: number): void {
    const burst = BURSTS.find(({ frames, withinMs }) => this.#spanMs(frames, nowMs) < withinMs);
    if (burst && !this.#inBurst && this.#stalledMs(nowMs - EXCUSED_FOR_MS, nowMs) < EXCUSING_STALL_MS) {
      this.#report({ kind: 'burst', detail: `${burst.frames} frames within ${burst.withinMs} ms`, atMs: nowMs });
    }
    this.#inBurst = burst !== undefined;
  }

  /** From the first to the last of the newest `frames` frames. */
  #spanMs(frames: number, nowMs: number): number {
    if (this.#frames < frames) return Infinity;
    return nowMs - (this.#arrivalsMs[(this.#frames - frames) % REMEMBERED_ARRIVALS] ?? nowMs);
  }
}
