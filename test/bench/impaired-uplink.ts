import { encodeG711 } from '../../src/audio/g711.js';
import { Uplink } from '../../src/bridge/uplink/uplink.js';
import { newRtpPacket, type RtpPacket } from '../../src/rtp/packet.js';
import { RtpReceiver } from '../../src/rtp/receiver.js';
import { seededRandom } from '../support/signal.js';
import { percentile } from './figures.js';

const FRAME_MS = 20;
const FRAME_8K = 160;
const FRAME_16K = 320;
const TICK_PHASE_MS = 7;
const REORDER_MS = 40;
/** The most punctual frame of this long says how much sound there has been for the time gone by. */
const TIMELINE_WINDOW_MS = 5_000;
/** The agent waiting longer than this for a frame is a gap. */
const GAP_MS = 100;

/** A network between the caller and the bridge. Whatever is random is the same each time. */
export interface Network {
  /** Part of the packets that is lost, and how many are lost together (1). */
  readonly loss?: number;
  readonly burst?: number;
  /** Each packet is delayed by up to this much. They overtake one another unless `keepsOrder`. */
  readonly jitterMs?: number;
  readonly keepsOrder?: boolean;
  /** Part of the packets that is overtaken by the next, or comes twice. */
  readonly reordered?: number;
  readonly duplicated?: number;
  /** How much faster the caller's clock is than ours. */
  readonly driftPpm?: number;
}

export interface UplinkFigures {
  /** How far the sound sent to the agent was off the time gone by, at most, counted from the first 5 s. */
  readonly timelineErrorMs: number;
  readonly lost: number;
  readonly concealedMs: number;
  readonly filledMs: number;
  readonly late: number;
  /** From a packet's arrival to the frame that carries it, and from when it would have come without delay. */
  readonly addedMs: readonly number[];
  readonly behindMs: readonly number[];
  /** Times the agent waited more than 100 ms for a frame, and the longest it did. */
  readonly gaps: number;
  readonly longestGapMs: number;
  readonly frames: number;
  readonly corrections: number;
  /** What the agent has heard, at 16 kHz. */
  readonly heard: Int16Array;
}

interface Arrival {
  readonly atMs: number;
  /** When it would have come if nothing had held it up. */
  readonly idealMs: number;
  readonly packet: RtpPacket;
}

/** Calls the bridge through `network` and says all of `speech` (8 kHz), as PCMU in packets of 20 ms, in virtual time. */
export function impairedUplink(speech: Int16Array, network: Network): UplinkFigures {
  const heard: Int16Array[] = [];
  const sentAtMs: number[] = [];
  const addedMs: number[] = [];
  const behindMs: number[] = [];
  let nowMs = 0;
  let waiting: Arrival[] = [];
  const uplink = new Uplink(0, (frame) => {
    heard.push(new Int16Array(new Uint8Array(frame).buffer));
    sentAtMs.push(nowMs);
    // All packets are of one frame, so each leaves with the first frame after it.
    for (const { atMs, idealMs } of waiting) {
      addedMs.push(nowMs - atMs);
      behindMs.push(nowMs - idealMs);
    }
    waiting = [];
  });
  const arrivals = arrivalsThrough(speech, network);
  const bySequence = new Map<number, Arrival>();
  const receiver = new RtpReceiver({
    reorderMs: REORDER_MS,
    maxHeld: 32,
    onPacket: (packet) => {
      const arrival = bySequence.get(packet.sequenceNumber);
      const { late } = uplink.stats;
      const before = sentAtMs.length;
      if (arrival) waiting.push(arrival);
      uplink.receive(packet, nowMs);
      // Dropped: it did not leave with a frame.
      if (uplink.stats.late > late && before === sentAtMs.length) waiting = waiting.filter((each) => each !== arrival);
    },
  });
  let tickMs = TICK_PHASE_MS;
  for (const arrival of arrivals) {
    for (; tickMs <= arrival.atMs; tickMs += FRAME_MS) tick(tickMs);
    nowMs = arrival.atMs;
    const { sequenceNumber } = arrival.packet;
    if (bySequence.get(sequenceNumber)?.packet !== arrival.packet) bySequence.set(sequenceNumber, arrival);
    receiver.receive(arrival.packet, nowMs);
  }

  function tick(atMs: number): void {
    nowMs = atMs;
    receiver.flush(nowMs);
    uplink.tick(nowMs);
  }

  const { lost, late } = receiver.stats;
  const { stats } = uplink;
  return {
    timelineErrorMs: timelineErrorMs(sentAtMs),
    lost,
    concealedMs: stats.concealedMs,
    filledMs: stats.filledMs,
    late: late + stats.late,
    addedMs,
    behindMs,
    ...gapsIn(sentAtMs),
    frames: sentAtMs.length,
    corrections: stats.joinedFrames + stats.stretchedFrames,
    heard: joined(heard),
  };
}

/** p50, p95 and the most. */
export function middleAndMost(values: readonly number[]): readonly [number, number, number] {
  return [percentile(values, 50), percentile(values, 95), percentile(values, 100)];
}

/** Which packets of `count` the network loses. */
export function lossesOf(count: number, { loss = 0, burst = 1 }: Network): readonly boolean[] {
  const random = seededRandom(1);
  const lost = new Array<boolean>(count).fill(false);
  // The first few come, so that there is a stream.
  for (let i = 5; i < count; i++) {
    if (random() < loss / burst) lost.fill(true, i, Math.min(count, i + burst));
  }
  return lost;
}

function arrivalsThrough(speech: Int16Array, network: Network): Arrival[] {
  const { jitterMs = 0, keepsOrder = false, reordered = 0, duplicated = 0, driftPpm = 0 } = network;
  const random = seededRandom(2);
  const count = Math.floor(speech.length / FRAME_8K);
  const lost = lossesOf(count, network);
  const periodMs = FRAME_MS / (1 + driftPpm / 1_000_000);
  const arrivals: Arrival[] = [];
  let previousMs = 0;
  for (let i = 0; i < count; i++) {
    const idealMs = 100 + i * periodMs;
    let atMs = idealMs + (i === 0 ? 0 : random() * jitterMs);
    if (random() < reordered) atMs += 1.25 * FRAME_MS;
    if (keepsOrder) atMs = Math.max(atMs, previousMs);
    previousMs = atMs;
    if (lost[i] === true) continue;
    const arrival = { atMs, idealMs, packet: packetOf(speech, i) };
    arrivals.push(arrival);
    if (random() < duplicated) arrivals.push({ ...arrival, atMs: atMs + random() * 30 });
  }
  return arrivals.sort((a, b) => a.atMs - b.atMs);
}

function packetOf(speech: Int16Array, i: number): RtpPacket {
  const bytes = new Uint8Array(FRAME_8K);
  encodeG711('mulaw', speech, i * FRAME_8K, FRAME_8K, bytes, 0);
  const fields = { ssrc: 1, sequenceNumber: i & 0xffff, timestamp: (i * FRAME_8K) >>> 0 };
  return Object.assign(newRtpPacket(), fields, { bytes, payloadLength: FRAME_8K });
}

function timelineErrorMs(sentAtMs: readonly number[]): number {
  const leads: number[] = [];
  sentAtMs.forEach((atMs, i) => {
    const window = Math.floor(atMs / TIMELINE_WINDOW_MS);
    leads[window] = Math.max(leads[window] ?? -Infinity, (i + 1) * FRAME_MS - atMs);
  });
  const origin = leads[0] ?? 0;
  return leads.reduce((worst, lead) => (Math.abs(lead - origin) > Math.abs(worst) ? lead - origin : worst), 0);
}

function gapsIn(sentAtMs: readonly number[]): { gaps: number; longestGapMs: number } {
  const waits = sentAtMs.slice(1).map((atMs, i) => atMs - (sentAtMs[i] ?? atMs));
  return {
    gaps: waits.filter((waitMs) => waitMs > GAP_MS).length,
    longestGapMs: waits.reduce((longest, waitMs) => Math.max(longest, waitMs), 0),
  };
}

function joined(frames: readonly Int16Array[]): Int16Array {
  const samples = new Int16Array(frames.length * FRAME_16K);
  frames.forEach((frame, i) => samples.set(frame, i * FRAME_16K));
  return samples;
}
