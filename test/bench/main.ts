import { cpus, loadavg } from 'node:os';
import { parseArgs } from 'node:util';
import { BridgeProcess } from '../../src/cli/capacity/bridge-process.js';
import { PranthoraSimulator } from '../../src/simulator/pranthora-simulator.js';
import type { BenchAgent } from './agent.js';
import { measureCall, measureSetUp } from './call.js';
import { measureAudioCost, measurePacketCost, measureParseCost } from './cost.js';
import { formatTable, type Row } from './figures.js';
import { measureFloor } from './floor/floor.js';
import { printLoadTables } from './load.js';

/**
 * Figures to look at, nothing asserted. The bridge runs in a process of its own, as in production. Callers and agents
 * share this one, so that both ends of every latency are read from one clock; each figure thus includes the kernel's way
 * over loopback and this process's turn to read its socket.
 */
const CALL_SECONDS = 60;
const SET_UPS = 100;

const { values } = parseArgs({
  options: {
    /** micro, call, floor or load: those parts alone. */
    only: { type: 'string' },
    calls: { type: 'string', default: '1,10,50,100,200' },
    ways: { type: 'string', default: 'websocket,telephony,wss,freeswitch' },
    talk: { type: 'string', default: 'quarter,all' },
    seconds: { type: 'string', default: '12' },
    workers: { type: 'string', default: 'auto' },
  },
});

const PARTS: Readonly<Record<string, () => void | Promise<void>>> = {
  micro: printCosts,
  call: printCall,
  floor: printFloor,
  load: printLoad,
};

const [cpu] = cpus();
const load = loadavg()[0]?.toFixed(1) ?? '?';
print(`Node ${process.version}, ${cpus().length} × ${cpu?.model ?? 'unknown processor'}, load ${load}\n`);
print('The bridge in its own process, callers and agents in this one.\n\n');
const wanted = values.only === undefined ? Object.keys(PARTS) : list(values.only);
for (const part of wanted) {
  const printPart = PARTS[part];
  if (!printPart) throw new Error(`there is no part ${part}: ${Object.keys(PARTS).join(', ')}`);
  await printPart();
}

function printCosts(): void {
  print(formatTable('20 ms of audio (µs)', measureAudioCost()));
  print(formatTable('An RTP packet (µs)', measurePacketCost()));
  print(formatTable('A SIP message (µs)', measureParseCost()));
}

async function printCall(): Promise<void> {
  let agent: BenchAgent | undefined;
  const useAgent = (next: BenchAgent): void => {
    agent = next;
  };
  const simulator = new PranthoraSimulator({ scenarioFor: () => agent });
  const { url } = await simulator.start();
  const bridge = await BridgeProcess.start(url);
  try {
    const call = await measureCall(bridge.sipPort, useAgent, CALL_SECONDS);
    const setUp = await measureSetUp(bridge.sipPort, useAgent, SET_UPS);
    print(formatTable('One call (ms)', [...call, setUp]));
  } finally {
    await bridge.stop();
    await simulator.stop();
  }
}

/** Beside the load, in the same run: how fast the machine is today. */
async function printFloor(): Promise<void> {
  const rows: Row[] = [];
  for (const calls of list(values.calls).map(Number)) rows.push(await measureFloor(calls, Number(values.seconds)));
  print(formatTable("Node's sockets alone, for the same packets", rows));
}

function printLoad(): Promise<void> {
  const tables = {
    calls: list(values.calls).map(Number),
    ways: list(values.ways),
    talks: list(values.talk),
    seconds: Number(values.seconds),
    workers: values.workers === 'auto' ? ('auto' as const) : Number(values.workers),
  };
  return printLoadTables(tables, print);
}

function list(text: string): string[] {
  return text.split(',').filter((item) => item !== '');
}

function print(text: string): void {
  process.stdout.write(text);
}
