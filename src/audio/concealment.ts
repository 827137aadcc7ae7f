import { copySamples } from './copy-samples.js';
import { toSample } from './half-band.js';
import { findPitch, MAX_PITCH_MS } from './pitch.js';

/** The synthesis repeats up to three periods (ITU-T G.711 Appendix I); each joint takes a quarter of a fourth. */
const MAX_PERIODS = 3;
const HISTORY_MS = MAX_PERIODS * MAX_PITCH_MS + MAX_PITCH_MS / 4;

/** One more period is taken in every 10 ms, so that a long loss does not sound like a buzzer. */
const PERIOD_GROWS_MS = 10;

/** Full level for 10 ms, then 20 % less every 10 ms: silence after 60 ms. */
const FULL_LEVEL_MS = 10;
const SILENT_AFTER_MS = 60;

/** How fast it ends where nothing is to be made up: the sender has said that it is silent. */
const RAMP_MS = 5;

/**
 * Stands in for samples that did not come, after ITU-T G.711 Appendix I: the last pitch periods are repeated, overlapped
 * where they join, and faded to silence within 60 ms; what comes afterwards is faded in.
 *
 * Appendix I delays all sound by 3.75 ms, to change the end of what came before a loss when it happens. Nothing is delayed
 * here: that end is already sent, and the first repeated samples are bent to continue it instead.
 *
 * One for each stream, of 8 or 16 kHz: every sample of it passes through, either by {@link heard} or by {@link conceal}.
 */
export class Concealment {
  readonly #samplesPerMs: number;
  readonly #settleSamples: number;
  /** The newest samples, those made up included; the last is the newest. */
  readonly #history: Int16Array;
  /** The history at the moment of the loss: what is repeated. */
  readonly #source: Int16Array;

  /** Samples made up since the last that came; 0 while they come. */
  #lost = 0;
  /** `#lost` when the signal was said to have ended. At first there is none. */
  #stoppedAt = 0;
  #pitch = 1;
  #joint = 1;
  /** Periods being repeated, and the place in them. */
  #periods = 1;
  #at = 0;
  /** Samples until the last change of `#periods` has been faded over, and the place in the fewer periods before it. */
  #growing = 0;
  #atBefore = 0;
  /** How much the signal missed its repetition by when it broke off. */
  #step = 0;
  /** Samples until what comes is heard unmixed, and over how many of them it is faded in. */
  #blendLeft = 0;
  #blend = 1;
  /** What `#lost` would be if the loss had gone on while it is faded out of. */
  #blendLost = 0;

  /**
   * @param settleSamples how many of the first samples after a loss are not to be heard at all, because the decoder's
   * filters still remember the loss.
   */
  constructor(rateHz: 8_000 | 16_000, settleSamples = 0) {
    this.#samplesPerMs = rateHz / 1_000;
    this.#settleSamples = settleSamples;
    this.#history = new Int16Array(Math.ceil(HISTORY_MS * this.#samplesPerMs));
    this.#source = new Int16Array(this.#history.length);
  }

  /** Nothing is heard any more of what came last. */
  get isSilent(): boolean {
    const silentAfter = SILENT_AFTER_MS * this.#samplesPerMs;
    return this.#lost >= Math.min(silentAfter, this.#stoppedAt + RAMP_MS * this.#samplesPerMs);
  }

  /** Takes samples that came. The first after a loss are changed where they stand. Returns how many, from the first on. */
  heard(pcm: Int16Array, offset: number, count: number): number {
    if (this.#lost > 0) this.#beginBlend();
    const blended = Math.min(count, this.#blendLeft);
    for (let i = offset; i < offset + blended; i++) {
      const weight = Math.min(1, (this.#blend - this.#blendLeft + 0.5) / this.#blend);
      const made = this.#nextSample(this.#blendLost++);
      pcm[i] = weight <= 0 ? toSample(made) : toSample(made + weight * ((pcm[i] ?? 0) - made));
      this.#blendLeft -= 1;
    }
    if (this.#blendLeft === 0) this.#stoppedAt = Infinity;
    this.#remember(pcm, offset, count);
    return blended;
  }

  /** Writes `count` samples in place of those that did not come. */
  conceal(pcm: Int16Array, offset: number, count: number): void {
    if (this.#lost === 0) this.#begin();
    if (this.isSilent) pcm.fill(0, offset, offset + count);
    else for (let i = 0; i < count; i++) pcm[offset + i] = toSample(this.#nextSample(this.#lost + i));
    this.#lost += count;
    this.#remember(pcm, offset, count);
  }

  /** The signal has ended by itself: from here on `conceal` fades to silence within 5 ms, until the next sample is heard. */
  stop(): void {
    this.#stoppedAt = Math.min(this.#stoppedAt, this.#lost);
  }

  /** What comes next begins anew and is left as it is. */
  startAfresh(): void {
    this.#lost = this.#blendLeft = 0;
    this.#stoppedAt = Infinity;
  }

  #begin(): void {
    // A loss while the one before is still being faded out of: what was heard last is a mixture, and as good a source.
    this.#blendLeft = 0;
    this.#source.set(this.#history);
    const end = this.#source.length;
    this.#pitch = findPitch(this.#source, this.#samplesPerMs);
    this.#joint = Math.max(1, this.#pitch >> 2);
    this.#periods = 1;
    this.#at = this.#growing = 0;
    this.#step = (this.#source[end - 1] ?? 0) - (this.#source[end - 1 - this.#pitch] ?? 0);
  }

  #beginBlend(): void {
    // After a longer loss Appendix I fades for longer. Measured, that only keeps more of what came from being heard.
    this.#blend = this.#joint;
    this.#blendLeft = this.#blend + this.#settleSamples;
    this.#blendLost = this.#lost;
    this.#lost = 0;
  }

  /** The sample made up after `lost` others. */
  #nextSample(lost: number): number {
    const level = this.#level(lost);
    if (level === 0) return 0;
    if (this.#periods < MAX_PERIODS && lost >= this.#periods * PERIOD_GROWS_MS * this.#samplesPerMs) this.#grow();
    let sample = this.#repeated(this.#periods, this.#at);
    this.#at = this.#next(this.#periods, this.#at);
    if (this.#growing > 0) {
      const before = this.#repeated(this.#periods - 1, this.#atBefore);
      this.#atBefore = this.#next(this.#periods - 1, this.#atBefore);
      sample += (this.#growing / this.#joint) * (before - sample);
      this.#growing -= 1;
    }
    if (lost < this.#joint) sample += this.#step * (1 - lost / this.#joint);
    return level * sample;
  }

  #grow(): void {
    this.#periods += 1;
    this.#growing = this.#joint;
    this.#atBefore = this.#at;
    this.#at %= this.#pitch;
  }

  #next(periods: number, at: number): number {
    return at + 1 === periods * this.#pitch ? 0 : at + 1;
  }

  /** The source's last `periods` as a ring: its end is faded into what stands before its beginning. */
  #repeated(periods: number, at: number): number {
    const length = periods * this.#pitch;
    const from = this.#source.length - length + at;
    const sample = this.#source[from] ?? 0;
    const inJoint = at - (length - this.#joint);
    if (inJoint < 0) return sample;
    return sample + ((inJoint + 0.5) / this.#joint) * ((this.#source[from - length] ?? 0) - sample);
  }

  #level(lost: number): number {
    const lostMs = lost / this.#samplesPerMs;
    const faded = 1 - (lostMs - FULL_LEVEL_MS) / (SILENT_AFTER_MS - FULL_LEVEL_MS);
    const stopped = 1 - (lost - this.#stoppedAt) / (RAMP_MS * this.#samplesPerMs);
    return Math.max(0, Math.min(1, faded, stopped));
  }

  #remember(pcm: Int16Array, offset: number, count: number): void {
    const history = this.#history;
    const kept = Math.min(count, history.length);
    history.copyWithin(0, kept);
    copySamples(pcm, offset + count - kept, kept, history, history.length - kept);
  }
}
