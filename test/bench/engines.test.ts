import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, it } from 'vitest';
import type { Scenario, SimulatorSession } from '../../src/simulator/simulator-session.js';
import type { TestCall } from '../../src/phone/test-call.js';
import { EngineRig } from '../support/engine-rig.js';
import { COMBINATIONS, missingFor, titleOf } from '../support/engines.js';
import { fitSine, seededRandom, tone } from '../support/signal.js';
import { packetsWith, quantile } from '../support/tone-heard.js';

/** What the engines cost, printed and not judged: BENCH=1 npx vitest run test/bench */
const isWanted = process.env['BENCH'] !== undefined;

const LEVEL_DBM0 = -10;
const CALLER_HZ = 1_020;
const AGENT_HZ = 620;
const TONE_MS = 10_000;
const BURSTS = 40;
const BURST_EVERY_MS = 260;
const BURST_HZ = 1_000;
const BURST_MS = 60;
const OLD_HZ = 600;
const INTERRUPTED_CALLS = 5;
const INTERRUPTIONS_A_CALL = 40;
const SETUPS = 100;

const says = (rateHz: number, frequencyHz: number, durationMs: number): Int16Array =>
  // From its crest on: the first sample is as loud as any.
  tone({ rateHz, frequencyHz, levelDbm0: LEVEL_DBM0, durationMs, phase: Math.PI / 2 });

const AGENTS: Readonly<Record<string, Scenario>> = {
  talker: {
    onOpen: (session) => {
      session.start();
      session.say(says(16_000, AGENT_HZ, TONE_MS + 2_000));
    },
  },
  listener: {},
};

describe.skipIf(!isWanted).each(COMBINATIONS.map((engines) => [titleOf(engines), engines] as const))(
  '%s',
  { timeout: 300_000 },
  (title, engines) => {
    describe.skipIf(missingFor(engines).length > 0)('costs', () => {
      let rig: EngineRig;

      beforeAll(async () => {
        rig = await EngineRig.start({ engines, agents: AGENTS });
      }, 600_000);

      afterAll(async () => {
        await rig.stop({ faultsExpected: true });
      });

      it('SNR and level of a tone, both ways', async () => {
        const call = rig.call('talker');
        const said = call.play(says(8_000, CALLER_HZ, TONE_MS));
        await call.answered;
        await said;
        await call.hangUp();
        report(title, 'caller → agent', quality(rig.session('talker').receivedAudio(), 16_000, CALLER_HZ));
        report(title, 'agent → caller', quality(call.heard.timeline(), 8_000, AGENT_HZ));
      });

      it('delay of a sound, both ways', async () => {
        const call = rig.call('listener');
        await call.answered;
        const session = rig.session('listener');
        await sleep(1_000);
        report(title, 'caller → agent, ms', summary(await delaysUp(call, session)));
        report(title, 'agent → caller, ms', summary(await delaysDown(call, session)));
        await call.hangUp();
      });

      it('interruption to silence at the caller', async () => {
        const calls = [];
        for (let n = 0; n < INTERRUPTED_CALLS; n++) {
          const call = rig.call('listener');
          await call.answered;
          calls.push(interruptions(call, rig.session('listener'), seededRandom(n)));
        }
        const reactions = await Promise.all(calls);
        report(title, 'interruption → last old packet, ms', summary(reactions.flat()));
      });

      it('INVITE to 200', async () => {
        const setupsMs: number[] = [];
        for (let n = 0; n < SETUPS; n++) {
          const call = rig.call('listener');
          await call.answered;
          const { placedAtMs, answeredAtMs = NaN } = call.report();
          setupsMs.push(answeredAtMs - placedAtMs);
          await call.hangUp();
        }
        report(title, 'INVITE → 200, ms', summary(setupsMs));
      });
    });
  },
);

/** From sending a packet to the arrival of its frame at the agent. */
async function delaysUp(call: TestCall, session: SimulatorSession): Promise<number[]> {
  const delaysMs: number[] = [];
  for (let n = 0; n < BURSTS; n++) {
    const heardBefore = session.receivedAudio().length;
    const sentFromMs = performance.now();
    const atSample = call.sentSamples;
    void call.play(says(8_000, BURST_HZ, BURST_MS));
    await sleep(BURST_EVERY_MS);
    const heard = session.receivedAudio().subarray(heardBefore);
    const at = heard.findIndex((sample) => Math.abs(sample) > 1_000);
    const arrivedMs = session.arrivalsMs[Math.floor((heardBefore + at) / 320)];
    // The packet goes out at the caller's next tick.
    const sentMs = (call.firstSentAtMs ?? NaN) + atSample / 8;
    if (at >= 0 && arrivedMs !== undefined) delaysMs.push(arrivedMs - Math.max(sentMs, sentFromMs));
  }
  return delaysMs;
}

/** From the agent's message to the arrival of its first packet at the caller; a tick of up to 20 ms is in it. */
async function delaysDown(call: TestCall, session: SimulatorSession): Promise<number[]> {
  const random = seededRandom(7);
  const delaysMs: number[] = [];
  for (let n = 0; n < BURSTS; n++) {
    const saidAtMs = performance.now();
    session.say(says(16_000, BURST_HZ, BURST_MS));
    await sleep(BURST_EVERY_MS + 20 * random());
    const heardAtMs = call.heard.firstSoundAtMs(saidAtMs);
    if (heardAtMs !== undefined) delaysMs.push(heardAtMs - saidAtMs);
  }
  return delaysMs;
}

/** From each interruption to the last packet of what was said before it. */
async function interruptions(call: TestCall, session: SimulatorSession, random: () => number): Promise<number[]> {
  await sleep(500);
  const reactionsMs: number[] = [];
  for (let n = 0; n < INTERRUPTIONS_A_CALL; n++) {
    session.say(says(16_000, OLD_HZ, 3_000));
    await sleep(300 + 200 * random());
    const stoppedAtMs = performance.now();
    session.interrupt();
    await sleep(250);
    const { packets } = call.heard;
    const last = packetsWith(OLD_HZ, packets.slice(-30)).at(-1);
    if (last) reactionsMs.push(Math.max(0, last.arrivedMs - stoppedAtMs));
  }
  await call.hangUp();
  return reactionsMs;
}

/** Over the middle of a recording in one piece, so that a single packet missing is seen. */
function quality(recording: Int16Array, rateHz: number, frequencyHz: number): string {
  const first = recording.findIndex((sample) => Math.abs(sample) > 1_000);
  const from = first + rateHz;
  const { levelDbm0, snrDb } = fitSine(recording.subarray(from, from + 7 * rateHz), rateHz, frequencyHz);
  const windows = Array.from({ length: 35 }, (_, n) => {
    const at = from + (n * rateHz) / 5;
    return fitSine(recording.subarray(at, at + rateHz / 5), rateHz, frequencyHz).snrDb;
  });
  const median = quantile(windows, 0.5).toFixed(1);
  return `${levelDbm0.toFixed(2)} dBm0, SNR ${snrDb.toFixed(1)} dB over 7 s, ${median} dB in the median of 200 ms`;
}

function summary(values: readonly number[]): string {
  const at = (share: number): string => quantile(values, share).toFixed(1);
  return `p50 ${at(0.5)}, p95 ${at(0.95)}, p99 ${at(0.99)}, max ${at(1)} of ${values.length}`;
}

function report(title: string, what: string, measured: string): void {
  process.stdout.write(`  ${title} | ${what} | ${measured}\n`);
}
