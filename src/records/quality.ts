import type { BridgeStats, PathStats } from '../bridge/stats.js';
import type { Quality } from '../events/call-record.js';

/**
 * The quality of a call's audio: loss, jitter (RFC 3550 6.4.1), delay, and from these an estimated MOS (E-model, ITU-T G.107).
 * Undefined for a call that was never answered.
 */
export function qualityOf(stats: BridgeStats): Quality | undefined {
  const { path } = stats;
  if (!path || path.activeMs === 0) return undefined;
  const { roundTripMs } = path.rtcp;
  return {
    uplink: uplinkQuality(stats, path),
    downlink: downlinkQuality(stats, path),
    ...(roundTripMs === undefined ? {} : { roundTripMs: tenths(roundTripMs) }),
  };
}

function uplinkQuality({ uplink }: BridgeStats, path: PathStats): Quality['uplink'] {
  const { expectedPackets, lostPackets, jitterMs } = path;
  const unheard = Math.min(expectedPackets, lostPackets + uplink.late);
  const lossPercent = expectedPackets === 0 ? 0 : (100 * unheard) / expectedPackets;
  const added = path.addedDelay.uplink;
  // The other end's buffer is the bridge's own, and in the added delay.
  const delayMs = pathDelayMs(path) + (added?.p50Ms ?? 0);
  return {
    ...(expectedPackets === 0 ? {} : { mos: estimateMos({ lossPercent, delayMs }) }),
    lossPercent: tenths(lossPercent),
    jitterMs,
    receivedMs: Math.round(Math.max(0, uplink.frames * FRAME_MS - uplink.filledMs)),
    concealedMs: Math.round(uplink.concealedMs),
    lateMs: Math.round(uplink.late * path.packetMs),
    ...(added ? { addedDelayMs: added } : {}),
  };
}

function downlinkQuality({ downlink }: BridgeStats, path: PathStats): Quality['downlink'] {
  const { reported } = path.rtcp;
  const added = path.addedDelay.downlink;
  return {
    ...(reported ? reportedQuality(reported, downlink.packets, path) : {}),
    agentUnderruns: downlink.underruns,
    ...(added ? { addedDelayMs: added } : {}),
  };
}

function reportedQuality(
  { lost, jitterMs }: { lost: number; jitterMs: number },
  packets: number,
  path: PathStats,
): Pick<Quality['downlink'], 'mos' | 'lossPercent' | 'jitterMs'> {
  const lossPercent = packets === 0 ? 0 : Math.min(100, (100 * lost) / packets);
  // A telephone's buffer is about twice the jitter deep, and telephones conceal.
  const delayMs = pathDelayMs(path) + (path.addedDelay.downlink?.p50Ms ?? 0) + 2 * jitterMs;
  return {
    mos: estimateMos({ lossPercent, delayMs }),
    lossPercent: tenths(lossPercent),
    jitterMs: tenths(jitterMs),
  };
}

const FRAME_MS = 20;

/** Half the round trip, as none while that is not known, and a packet's own length. */
function pathDelayMs({ rtcp, packetMs }: PathStats): number {
  return (rtcp.roundTripMs ?? 0) / 2 + (packetMs === 0 ? FRAME_MS : packetMs);
}

/** G.107 table 3: what is left of the rating with every parameter at its default. */
const BEST_RATING = 93.2;
/** G.113 appendix I: how robust G.711 is against random loss, with concealment. */
const LOSS_ROBUSTNESS = 25.1;

/**
 * The E-model of ITU-T G.107, with all but loss and delay at their defaults: R = 93.2 − Idd − Ie,eff.
 *
 * Idd (7-27) is what delay alone does to a conversation; echo is not known, and taken for none. Ie,eff (7-29) is what
 * loss does, held for random (BurstR = 1). Ie is 0 for G.711 and L16. It is for G.722 as well: this is the narrowband
 * scale, and G.722 without loss is better than its best (G.113: R = 116 of 129 on the wideband scale).
 * The score (annex B) is of the network's part; the voices themselves are not listened to.
 */
export function estimateMos({ lossPercent, delayMs }: { lossPercent: number; delayMs: number }): number {
  const equipment = (95 * lossPercent) / (lossPercent + LOSS_ROBUSTNESS);
  return Math.round(100 * mosOf(BEST_RATING - delayImpairment(delayMs) - equipment)) / 100;
}

function delayImpairment(delayMs: number): number {
  if (delayMs <= 100) return 0;
  const x = Math.log2(delayMs / 100);
  return 25 * ((1 + x ** 6) ** (1 / 6) - 3 * (1 + (x / 3) ** 6) ** (1 / 6) + 2);
}

function mosOf(rating: number): number {
  if (rating <= 0) return 1;
  if (rating >= 100) return 4.5;
  // Below a rating of 6.5 the polynomial dips under 1.
  return Math.max(1, 1 + 0.035 * rating + rating * (rating - 60) * (100 - rating) * 7e-6);
}

const tenths = (value: number): number => Math.round(value * 10) / 10;
