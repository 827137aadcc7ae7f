import { cpus, loadavg } from 'node:os';
import { PranthoraSimulator } from '../../src/simulator/pranthora-simulator.js';
import type { BenchAgent } from './agent.js';
import { BridgeProcess } from './bridge-process.js';
import { measureCall, measureSetUp } from './call.js';
import { measureAudioCost, measureParseCost } from './cost.js';
import { formatTable } from './figures.js';

/**
 * Figures to look at, nothing asserted. The bridge runs in a process of its own, as in production. Caller and agent share
 * this one, so that both ends of every latency are read from one clock; each figure thus includes the kernel's way
 * over loopback and this process's turn to read its socket.
 */
const CALL_SECONDS = 60;
const SET_UPS = 100;

const print = (text: string): void => {
  process.stdout.write(text);
};

const [cpu] = cpus();
const load = loadavg()[0]?.toFixed(1) ?? '?';
print(`Node ${process.version}, ${cpus().length} × ${cpu?.model ?? 'unknown processor'}, load ${load}\n`);
print(`The bridge in its own process, caller and agent in this one; ${CALL_SECONDS} s of one call…\n\n`);

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
print(formatTable('20 ms of audio (µs)', measureAudioCost()));
print(formatTable('A SIP message (µs)', measureParseCost()));
