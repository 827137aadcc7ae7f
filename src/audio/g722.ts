import { HighBand, LowBand } from './g722-band.js';
import { MAX_PAIRS, QmfAnalysis, QmfSynthesis } from './g722-qmf.js';

//  ITU-T G.722 at 64 kbit/s (mode 1): 7 kHz audio sampled at 16 kHz, split into two bands of 8 kHz that are ADPCM coded
//  apart. Bit for bit what the ITU-T's own implementation (G.191) does. An octet is two samples, 125 µs:
//
//    0   1   2   3   4   5   6   7
//  +-------+-----------------------+
//  |higher |      lower band       |
//  +-------+-----------------------+
const HIGH_SHIFT = 6;
const LOW_MASK = 0x3f;

/** 16 kHz PCM → octets. */
export class G722Encoder {
  readonly #analysis = new QmfAnalysis();
  readonly #low = new LowBand();
  readonly #high = new HighBand();
  readonly #lowSamples = new Int16Array(MAX_PAIRS);
  readonly #highSamples = new Int16Array(MAX_PAIRS);

  /** Encodes `2 · count` samples from `pcm[pcmOffset …]` into `octets[offset … offset + count)`. */
  encode(pcm: Int16Array, pcmOffset: number, count: number, octets: Uint8Array, offset: number): void {
    for (let done = 0; done < count; done += MAX_PAIRS) {
      const part = Math.min(MAX_PAIRS, count - done);
      this.#analysis.split(pcm, pcmOffset + 2 * done, part, this.#lowSamples, this.#highSamples);
      for (let i = 0; i < part; i++) {
        const high = this.#high.encode(this.#highSamples[i] ?? 0);
        octets[offset + done + i] = (high << HIGH_SHIFT) | this.#low.encode(this.#lowSamples[i] ?? 0);
      }
    }
  }

  /**
   * Forgets the last samples, 1.4 ms of which are still to be encoded. What has been encoded is not forgotten: the
   * decoder remembers it as well, and the two must stay in step.
   */
  dropPending(): void {
    this.#analysis.reset();
  }
}

/** After a longer gap (40 ms) a decoder that starts anew is in step with its encoder sooner than one that goes on. */
const MAX_BRIDGED_OCTETS = 320;

/** Octets → 16 kHz PCM, two samples for each. Any octets are some sound: there are no errors. */
export class G722Decoder {
  readonly #synthesis = new QmfSynthesis();
  readonly #low = new LowBand();
  readonly #high = new HighBand();
  readonly #lowSamples = new Int16Array(MAX_PAIRS);
  readonly #highSamples = new Int16Array(MAX_PAIRS);
  #missingOctets = 0;

  /** Decodes `octets[offset … offset + count)` into `2 · count` samples of `pcm[pcmOffset …]`. */
  decode(octets: Uint8Array, offset: number, count: number, pcm: Int16Array, pcmOffset: number): void {
    this.#missingOctets = 0;
    for (let done = 0; done < count; done += MAX_PAIRS) {
      const part = Math.min(MAX_PAIRS, count - done);
      for (let i = 0; i < part; i++) {
        const octet = octets[offset + done + i] ?? 0;
        this.#lowSamples[i] = this.#low.decode(octet & LOW_MASK);
        this.#highSamples[i] = this.#high.decode(octet >> HIGH_SHIFT);
      }
      this.#synthesis.join(this.#lowSamples, this.#highSamples, part, pcm, pcmOffset + 2 * done);
    }
  }

  /**
   * `count` octets are missing: writes as many samples of silence as they would have been, with the end of what came
   * before in it. The encoder has gone on meanwhile; to act as if it had encoded silence would be the worst guess.
   */
  silence(count: number, pcm: Int16Array, pcmOffset: number): void {
    this.#miss(count);
    this.#lowSamples.fill(0);
    this.#highSamples.fill(0);
    for (let done = 0; done < count; done += MAX_PAIRS) {
      const part = Math.min(MAX_PAIRS, count - done);
      this.#synthesis.join(this.#lowSamples, this.#highSamples, part, pcm, pcmOffset + 2 * done);
    }
  }

  #miss(count: number): void {
    const wasBridged = this.#missingOctets <= MAX_BRIDGED_OCTETS;
    this.#missingOctets += count;
    if (!wasBridged || this.#missingOctets <= MAX_BRIDGED_OCTETS) return;
    this.#low.reset();
    this.#high.reset();
  }
}
