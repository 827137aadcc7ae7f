import { setTimeout as sleep } from 'node:timers/promises';
import { BenchAgent, LOUD, QUIET } from './agent.js';
import { spread, type Row } from './figures.js';
import { BenchPhone, type Arrival } from './phone.js';

const SOUND_PEAK = 100;
const PACKET_MS = 20;

/** One call of `seconds`, both sides talking: what it takes from one socket to the other. In milliseconds. */
export async function measureCall(
  sipPort: number,
  useAgent: (agent: BenchAgent) => void,
  seconds: number,
): Promise<Row[]> {
  const agent = new BenchAgent();
  useAgent(agent);
  const phone = await BenchPhone.open(sipPort);
  await phone.call((packet) => (packet % 2 === 0 ? LOUD : QUIET));
  await sleep(1_000 * seconds);
  await phone.hangUp();
  await agent.closed;
  const rounds = agent.rounds.filter(({ stoppedAtMs }) => !Number.isNaN(stoppedAtMs)).slice(0, -1);
  const heard = rounds.map(({ spokeAtMs, stoppedAtMs }, n) => {
    const untilMs = agent.rounds[n + 1]?.spokeAtMs ?? Infinity;
    return heardOf(phone.arrivals, { spokeAtMs, stoppedAtMs, untilMs });
  });
  return [
    { name: 'RTP packet in → WebSocket frame out', values: spread(uplinkMs(phone, agent)) },
    {
      name: 'first byte of speech in → first RTP packet with speech',
      values: spread(heard.map((each) => each.firstMs)),
    },
    { name: 'stop in → last RTP packet with old speech', values: spread(heard.map((each) => each.lastMs)) },
    { name: 'stop in → first RTP packet without old speech', values: spread(heard.map((each) => each.cleanMs)) },
    { name: 'RTP out: distance of an interval from 20 ms', values: spread(pacingMs(phone.arrivals)) },
  ];
}

/** Calls one after the other: what the bridge adds to the time the agent takes for itself. In milliseconds. */
export async function measureSetUp(
  sipPort: number,
  useAgent: (agent: BenchAgent) => void,
  calls: number,
): Promise<Row> {
  const addedMs: number[] = [];
  for (let n = 0; n < calls; n++) {
    const agent = new BenchAgent();
    useAgent(agent);
    const phone = await BenchPhone.open(sipPort);
    await phone.call(() => QUIET);
    addedMs.push(phone.answerMs - agent.startMs);
    await phone.hangUp();
    await agent.closed;
  }
  return { name: 'INVITE in → 200 out, beyond the agent’s own time', values: spread(addedMs) };
}

/** From the send of each loud packet to the arrival of its frame. */
function uplinkMs({ sentAtMs }: BenchPhone, { loudAtMs }: BenchAgent): number[] {
  const loudSentAtMs = sentAtMs.filter((_, packet) => packet % 2 === 0);
  const missing = loudSentAtMs.length - loudAtMs.length;
  // The last one may have been on its way when the call ended.
  if (missing < 0 || missing > 1)
    throw new Error(`${loudSentAtMs.length} loud packets became ${loudAtMs.length} frames`);
  return loudAtMs.map((atMs, n) => atMs - (loudSentAtMs[n] ?? NaN));
}

function heardOf(
  arrivals: readonly Arrival[],
  { spokeAtMs, stoppedAtMs, untilMs }: { spokeAtMs: number; stoppedAtMs: number; untilMs: number },
): { firstMs: number; lastMs: number; cleanMs: number } {
  const packets = arrivals.filter(({ atMs }) => atMs >= spokeAtMs && atMs < untilMs);
  const first = packets.find(({ peak }) => peak > SOUND_PEAK);
  const last = packets.findLastIndex(({ peak }) => peak > SOUND_PEAK);
  const at = (packet: Arrival | undefined): number => packet?.atMs ?? NaN;
  return {
    firstMs: at(first) - spokeAtMs,
    // Most often the last one had gone before.
    lastMs: Math.max(0, at(packets[last]) - stoppedAtMs),
    cleanMs: at(packets[last + 1]) - stoppedAtMs,
  };
}

function pacingMs(arrivals: readonly Arrival[]): number[] {
  return arrivals.slice(1).map(({ atMs }, n) => Math.abs(atMs - (arrivals[n]?.atMs ?? NaN) - PACKET_MS));
}
