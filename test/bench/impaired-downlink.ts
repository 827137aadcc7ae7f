import { Downlink } from '../../src/bridge/downlink/downlink.js';
import { seededRandom } from '../support/signal.js';

const FRAME_MS = 20;
const BYTES_PER_MS = 32;

/** How the agent's speech comes. */
export interface AgentStream {
  readonly chunkMs: number;
  /** How much faster than it is spoken, and how long each chunk may be held up, all after it with it. */
  readonly speed: number;
  readonly jitterMs: number;
  /** At this moment nothing comes for so long; then all at once. */
  readonly stallAtMs?: number;
  readonly stallMs?: number;
  /** One utterance after another, of so long, with this much silence between them in the conversation. */
  readonly utterances: number;
  readonly utteranceMs: number;
  readonly pauseMs: number;
}

export interface DownlinkFigures {
  /** From the first chunk's arrival to the first packet with speech, for each utterance. */
  readonly startMs: readonly number[];
  readonly underruns: number;
  readonly underrunMs: number;
  /** What is still queued when the last chunk has come, and at most half a minute later. */
  readonly queuedAtEndMs: number;
  readonly playedMs: number;
  readonly receivedMs: number;
  readonly discardedMs: number;
}

interface Chunk {
  readonly atMs: number;
  readonly bytes: Uint8Array;
  readonly startsUtterance: boolean;
}

/** Plays a caller what an agent says over a network that keeps the order (TCP), in virtual time. `speech` is at 16 kHz. */
export function impairedDownlink(speech: Int16Array, stream: AgentStream): DownlinkFigures {
  const chunks = chunksOf(speech, stream);
  const downlink = new Downlink({ cushionMs: 200 });
  const payload = new Uint8Array(160);
  const startMs: number[] = [];
  let waitingSinceMs: number | undefined;
  let next = 0;
  const endMs = (chunks.at(-1)?.atMs ?? 0) + FRAME_MS;
  let queuedAtEndMs = 0;
  for (let nowMs = 0; nowMs <= endMs + 30_000 && (nowMs <= endMs || !downlink.isEmpty); nowMs += FRAME_MS) {
    for (let chunk = chunks[next]; chunk && chunk.atMs <= nowMs; chunk = chunks[++next]) {
      if (chunk.startsUtterance) waitingSinceMs = chunk.atMs;
      downlink.push(chunk.bytes);
    }
    const isSpeech = downlink.nextPayload(payload, 0);
    if (isSpeech && waitingSinceMs !== undefined) {
      startMs.push(nowMs - waitingSinceMs);
      waitingSinceMs = undefined;
    }
    if (nowMs <= endMs) queuedAtEndMs = downlink.stats.queuedMs;
  }
  const { underruns, underrunMs, playedMs, receivedMs, discardedMs } = downlink.stats;
  return { startMs, underruns, underrunMs, queuedAtEndMs, playedMs, receivedMs, discardedMs };
}

function chunksOf(speech: Int16Array, stream: AgentStream): Chunk[] {
  const { chunkMs, speed, jitterMs, stallAtMs = Infinity, stallMs = 0, utterances, utteranceMs, pauseMs } = stream;
  const random = seededRandom(3);
  const bytes = new Uint8Array(speech.slice().buffer);
  const chunks: Chunk[] = [];
  let previousMs = 0;
  let spokenBytes = 0;
  for (let n = 0; n < utterances; n++) {
    const fromMs = 1_000 + n * (utteranceMs + pauseMs);
    for (let sentMs = 0; sentMs < utteranceMs; sentMs += chunkMs) {
      let atMs = fromMs + sentMs / speed + random() * jitterMs;
      if (atMs >= stallAtMs && atMs < stallAtMs + stallMs) atMs = stallAtMs + stallMs;
      previousMs = Math.max(previousMs, atMs);
      const start = spokenBytes % (bytes.length - chunkMs * BYTES_PER_MS);
      const chunk = bytes.slice(start - (start % 2), start - (start % 2) + chunkMs * BYTES_PER_MS);
      chunks.push({ atMs: previousMs, bytes: chunk, startsUtterance: sentMs === 0 });
      spokenBytes += chunk.length;
    }
  }
  return chunks;
}
