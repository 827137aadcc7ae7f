import { resolve } from 'node:path';
import { decodeG711, encodeG711 } from '../../src/audio/g711.js';
import { Upsampler2x } from '../../src/audio/resampler.js';
import { readWav } from '../../src/phone/wav.js';
import { measureImpairmentCost } from './cost.js';
import { formatTable, percentile, type Row } from './figures.js';
import { impairedDownlink, type AgentStream } from './impaired-downlink.js';
import { impairedUplink, lossesOf, middleAndMost, type Network } from './impaired-uplink.js';
import { logSpectralDistance } from './speech-score.js';

/**
 * What becomes of a conversation on a bad network: the bridge's own receiver, uplink and downlink in virtual time, with
 * the demo's speech. The same figures each time, but for those of cost. Nothing is asserted.
 */
const RATE_8K = 8_000;
const FRAME_8K = 160;
/** Speech is compared over this much at the end. */
const SCORED_SECONDS = 60;

const print = (text: string): void => {
  process.stdout.write(text);
};

const file = (name: string): string => resolve('config/demo', name);

/** Sentences with pauses between them, for so long. */
function conversation(seconds: number, rateHz: number): Int16Array {
  const sentences = ['caller-question.wav', 'caller-interruption.wav', 'agent-answer.wav'].map((name) =>
    readWav(file(name), rateHz),
  );
  const samples = new Int16Array(seconds * rateHz);
  for (let at = 0, n = 0; at < samples.length; n++) {
    const sentence = sentences[n % sentences.length] ?? new Int16Array(1);
    samples.set(sentence.subarray(0, samples.length - at), at);
    at += sentence.length + rateHz / 2;
  }
  return samples;
}

/** What the agent would hear on a perfect network, or with nothing but silence for what is lost. */
function heardOf(speech: Int16Array, lost: readonly boolean[] = []): Int16Array {
  const coded = new Uint8Array(speech.length);
  encodeG711('mulaw', speech, 0, speech.length, coded, 0);
  const decoded = new Int16Array(speech.length);
  decodeG711('mulaw', coded, 0, coded.length, decoded, 0);
  lost.forEach((isLost, i) => {
    if (isLost) decoded.fill(0, i * FRAME_8K, (i + 1) * FRAME_8K);
  });
  const samples = new Int16Array(2 * speech.length);
  new Upsampler2x().process(decoded, 0, decoded.length, samples, 0);
  return samples;
}

const lastOf = (samples: Int16Array): Int16Array => samples.subarray(-2 * RATE_8K * SCORED_SECONDS);

function uplinkRow(name: string, network: Network, seconds: number): Row {
  const speech = conversation(seconds, RATE_8K);
  const figures = impairedUplink(speech, network);
  const [p50, p95, max] = middleAndMost(figures.addedMs);
  const [, behind95, behindMax] = middleAndMost(figures.behindMs);
  // Both from their ends: the clocks of drift rows differ by more than is searched.
  const reference = lastOf(heardOf(speech));
  const holes = lastOf(heardOf(speech, lossesOf(speech.length / FRAME_8K, network)));
  return {
    name,
    values: {
      timeline: figures.timelineErrorMs,
      lost: figures.lost,
      late: figures.late,
      concealed: figures.concealedMs,
      'LSD dB': logSpectralDistance(reference, lastOf(figures.heard)),
      'holes dB': logSpectralDistance(reference, holes),
      p50,
      p95,
      max,
      'net p95': behind95,
      'net max': behindMax,
      gaps: figures.gaps,
      longest: figures.longestGapMs,
      spliced: figures.corrections,
    },
  };
}

function downlinkRow(name: string, stream: AgentStream): Row {
  const figures = impairedDownlink(conversation(60, 16_000), stream);
  return {
    name,
    values: {
      'start p50': percentile(figures.startMs, 50),
      'start max': percentile(figures.startMs, 100),
      underruns: figures.underruns,
      'silent ms': figures.underrunMs,
      'left ms': figures.queuedAtEndMs,
      skipped: figures.discardedMs,
      'played ms': figures.playedMs,
    },
  };
}

const UPLINK: readonly (readonly [string, Network, number])[] = [
  ['no impairment', {}, 60],
  ['loss 1 %', { loss: 0.01 }, 60],
  ['loss 3 %', { loss: 0.03 }, 60],
  ['loss 5 %', { loss: 0.05 }, 60],
  ['loss 10 %', { loss: 0.1 }, 60],
  ['loss 5 % in bursts of 3', { loss: 0.05, burst: 3 }, 60],
  ['jitter 10 ms', { jitterMs: 10 }, 60],
  ['jitter 20 ms', { jitterMs: 20 }, 60],
  ['jitter 40 ms', { jitterMs: 40 }, 60],
  ['jitter 80 ms', { jitterMs: 80 }, 60],
  ['jitter 80 ms, in order', { jitterMs: 80, keepsOrder: true }, 60],
  ['5 % reordered', { reordered: 0.05 }, 60],
  ['5 % duplicated', { duplicated: 0.05 }, 60],
  ['clock +300 ppm, 10 min', { driftPpm: 300 }, 600],
  ['clock −300 ppm, 10 min', { driftPpm: -300 }, 600],
  ['+300 ppm, jitter 40, loss 3 %, 10 min', { driftPpm: 300, jitterMs: 40, loss: 0.03 }, 600],
];

const TALK = { utterances: 30, utteranceMs: 4_000, pauseMs: 2_000 };
const DOWNLINK: readonly (readonly [string, AgentStream])[] = [
  ['at once', { ...TALK, chunkMs: 100, speed: 20, jitterMs: 0 }],
  ['real time, chunks of 20 ms', { ...TALK, chunkMs: 20, speed: 1, jitterMs: 0 }],
  ['real time, 20 ms, jitter 80 ms', { ...TALK, chunkMs: 20, speed: 1, jitterMs: 80 }],
  ['real time, 100 ms, jitter 80 ms', { ...TALK, chunkMs: 100, speed: 1, jitterMs: 80 }],
  [
    'never pauses, held up for 2 s',
    {
      chunkMs: 20,
      speed: 1,
      jitterMs: 20,
      stallAtMs: 20_000,
      stallMs: 2_000,
      utterances: 1,
      utteranceMs: 300_000,
      pauseMs: 0,
    },
  ],
];

print(
  'Caller → agent: PCMU, 20 ms, reorderMs 40. Times in ms. LSD: log-spectral distance to a perfect network; holes: with\n',
);
print(
  'silence for what is lost. p50 … max: from arrival to the agent; net: beyond the fastest packet, the network included.\n\n',
);
print(
  formatTable(
    'uplink',
    UPLINK.map((each) => uplinkRow(...each)),
    10,
  ),
);
print(
  formatTable(
    'downlink',
    DOWNLINK.map((each) => downlinkRow(...each)),
    10,
  ),
);
print(formatTable('cost (µs per 20 ms)', measureImpairmentCost()));
