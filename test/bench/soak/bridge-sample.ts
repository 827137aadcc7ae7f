import { readdirSync, readlinkSync } from 'node:fs';
import { get } from 'node:http';
import { json } from 'node:stream/consumers';
import type { Clock } from '../../../src/clock.js';
import type { Health } from '../../../src/ops/health.js';
import type { BridgeProcess } from '../../../src/cli/capacity/bridge-process.js';
import { spentMs, usageOf, type ProcessUsage } from '../../../src/load/process-usage.js';
import { TWO_WAY, type BridgeLog } from './bridge-log.js';

/** The bridge at one moment. What the system does not tell is NaN. */
export interface BridgeSample {
  readonly atMinutes: number;
  /** In progress, by the bridge's own account. */
  readonly calls: number;
  /** Calls that have ended with two-way audio, and with any other verdict. */
  readonly twoWay: number;
  readonly otherVerdicts: number;
  readonly residentMb: number;
  /** Open files and sockets. */
  readonly descriptors: number;
  /** Of one core, since the last sample. */
  readonly cpuPercent: number;
  /** 99th percentile over 5 s, the worst since the last sample. */
  readonly mainDelayMs: number;
  readonly mediaDelayMs: number;
}

/** Looks at a bridge now and then. */
export class BridgeSampler {
  readonly #bridge: BridgeProcess;
  readonly #log: BridgeLog;
  readonly #clock: Clock;
  readonly #startedAtMs: number;
  #cpu = { atMs: NaN, spentMs: NaN };

  constructor(bridge: BridgeProcess, log: BridgeLog, clock: Clock) {
    this.#bridge = bridge;
    this.#log = log;
    this.#clock = clock;
    this.#startedAtMs = clock.nowMs();
  }

  /** Rejects when the bridge is gone. */
  async take(): Promise<BridgeSample> {
    const { pid, httpUrl } = this.#bridge;
    // Before the request, which takes a descriptor itself.
    const descriptors = descriptorsOf(pid);
    const usage = usageOf(pid);
    const cpuPercent = this.#cpuPercent(usage);
    const { verdicts } = this.#log;
    const { mainMs, mediaMs } = this.#log.takeLoopDelay();
    return {
      atMinutes: (this.#clock.nowMs() - this.#startedAtMs) / 60_000,
      calls: await callsOf(httpUrl),
      twoWay: verdicts.of(TWO_WAY),
      otherVerdicts: verdicts.total - verdicts.of(TWO_WAY),
      residentMb: usage?.residentMb ?? NaN,
      descriptors,
      cpuPercent,
      mainDelayMs: mainMs,
      mediaDelayMs: mediaMs,
    };
  }

  #cpuPercent(usage: ProcessUsage | undefined): number {
    const before = this.#cpu;
    this.#cpu = { atMs: this.#clock.nowMs(), spentMs: spentMs(usage) };
    return (100 * (this.#cpu.spentMs - before.spentMs)) / (this.#cpu.atMs - before.atMs);
  }
}

/** What libuv keeps open for each event loop from its first stream on, to have one to spare: of no call. */
const SPARE = '/dev/null';

function descriptorsOf(pid: number): number {
  if (process.platform !== 'linux') return NaN;
  const directory = `/proc/${pid}/fd`;
  return readdirSync(directory).filter((descriptor) => isCounted(`${directory}/${descriptor}`)).length;
}

/** A descriptor may have been closed since it was listed. */
function isCounted(descriptor: string): boolean {
  try {
    return readlinkSync(descriptor) !== SPARE;
  } catch {
    return false;
  }
}

const HEALTH_TIMEOUT_MS = 5_000;

/** Over a connection of its own, closed at once: one kept would count among the bridge's descriptors. */
function callsOf(httpUrl: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const request = get(`${httpUrl}/health`, { agent: false, timeout: HEALTH_TIMEOUT_MS }, (response) => {
      json(response).then((health) => resolve((health as Health).calls.active), reject);
    });
    request.once('timeout', () => request.destroy(new Error('/health does not answer')));
    request.once('error', reject);
  });
}
