/** Periods of 66 to 200 Hz; a higher voice is found by several of its own (ITU-T G.711 Appendix I). */
export const MIN_PITCH_MS = 5;
export const MAX_PITCH_MS = 15;

/** The newest stretch, which is compared with those before it. Looks back 35 ms in all. */
const COMPARED_MS = 20;

/**
 * The period of the end of `samples`: the lag at which its last 20 ms are most like what was before them. Tried at 4 kHz
 * first, then by the sample around the best.
 */
export function findPitch(samples: Int16Array, samplesPerMs: number): number {
  const coarse = samplesPerMs >> 2;
  const shortest = MIN_PITCH_MS * samplesPerMs;
  const longest = MAX_PITCH_MS * samplesPerMs;
  const about = mostAlike(samples, COMPARED_MS * samplesPerMs, shortest, longest, coarse);
  const from = Math.max(shortest, about - coarse + 1);
  const to = Math.min(longest, about + coarse - 1);
  // A quarter of the stretch decides between neighbours.
  return mostAlike(samples, (COMPARED_MS / 2) * samplesPerMs, from, to, 1);
}

/** Of the lags `from`, `from + step` … `to`, the one of greatest normalised correlation over the last `length` samples. */
function mostAlike(samples: Int16Array, length: number, from: number, to: number, step: number): number {
  const end = samples.length;
  let best = from;
  let bestLikeness = 0;
  for (let lag = from; lag <= to; lag += step) {
    let product = 0;
    let energy = 1;
    for (let at = end - length; at < end; at += step) {
      const before = samples[at - lag] ?? 0;
      product += (samples[at] ?? 0) * before;
      energy += before * before;
    }
    // Squared, to do without a root: what is in opposite phase is no candidate.
    const likeness = product <= 0 ? 0 : (product * product) / energy;
    if (likeness <= bestLikeness) continue;
    bestLikeness = likeness;
    best = lag;
  }
  return best;
}
