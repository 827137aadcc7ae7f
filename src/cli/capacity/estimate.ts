import type { LoadResult } from '../../load/load-run.js';

/** How busy a thread may be: what is left is for bursts, and for a wait that must stay short. In percent of a core. */
const THREAD_PERCENT = 60;
/** How busy the machine may be, in percent. */
const MACHINE_PERCENT = 75;
/** The generator can do nothing but be late beyond this; it has one thread. */
const GENERATOR_PERCENT = 70;
/** How busy the machine may be with the bridge and the generator together. */
const MEASURED_MACHINE_PERCENT = 85;

/** Beyond these the bridge is held to be at its limit. */
const MAX_PACING_MS = 10;
const MAX_MEDIA_THREAD_PERCENT = 70;

/** What one call takes of one core, in percent. */
export interface CallCost {
  readonly mainThread: number;
  readonly otherThreads: number;
}

export interface Proposal {
  readonly maxConcurrent: number;
  readonly workers: number;
  /** What these calls make full. */
  readonly fills: 'media threads' | 'main thread' | 'machine';
}

/** `media.workers: auto`. */
export const autoWorkers = (cores: number): number => Math.max(1, cores - 1);

/** The most calls that leave every thread and the machine some room, and the fewest media threads that carry them. */
export function propose({ mainThread, otherThreads }: CallCost, cores: number): Proposal {
  const callsPerWorker = THREAD_PERCENT / otherThreads;
  const limits = [
    { fills: 'media threads', calls: autoWorkers(cores) * callsPerWorker },
    { fills: 'main thread', calls: THREAD_PERCENT / mainThread },
    { fills: 'machine', calls: (MACHINE_PERCENT * cores) / (mainThread + otherThreads) },
  ] as const;
  const { calls, fills } = limits.reduce((least, limit) => (limit.calls < least.calls ? limit : least));
  const maxConcurrent = roundedDown(calls);
  return { maxConcurrent, fills, workers: workersFor(maxConcurrent, otherThreads, cores) };
}

/** The fewest media threads that carry these calls. */
export function workersFor(calls: number, otherThreads: number, cores: number): number {
  return Math.max(1, Math.min(autoWorkers(cores), Math.ceil((calls * otherThreads) / THREAD_PERCENT)));
}

/** The most calls that the bridge and the generator of `result` can carry together on this machine. */
export function mostMeasurable({ calls, cpuPerCall, generator }: LoadResult, cores: number): number {
  const generatorPerCall = generator.cpuPercent / calls;
  return roundedDown(
    Math.min(
      GENERATOR_PERCENT / generatorPerCall,
      (MEASURED_MACHINE_PERCENT * cores) / (cpuPerCall.total + generatorPerCall),
    ),
  );
}

/** How busy each of the media threads was, in percent of a core. */
export function mediaThreadPercent({ calls, cpuPerCall }: LoadResult, workers: number): number {
  return (calls * cpuPerCall.otherThreads) / workers;
}

/** What says that the bridge was at its limit; nothing when it carried the calls. */
export function signsOfLimit(result: LoadResult, workers: number): string[] {
  const { failed, lost, pacingMs } = result;
  const lostPackets = lost.toCaller + lost.toAgent;
  const busyPercent = mediaThreadPercent(result, workers);
  return [
    ...(failed > 0 ? [`${failed} calls failed`] : []),
    ...(lostPackets > 0 ? [`${lostPackets} packets lost`] : []),
    ...(pacingMs.p99 > MAX_PACING_MS ? [`packets ${pacingMs.p99.toFixed(1)} ms off (p99)`] : []),
    ...(busyPercent > MAX_MEDIA_THREAD_PERCENT ? [`media threads ${busyPercent.toFixed(0)} % busy`] : []),
  ];
}

/** To two digits: no more are known. At least 1, and that of what is no number. */
export function roundedDown(calls: number): number {
  if (!(calls >= 1 && calls < Infinity)) return 1;
  const unit = 10 ** Math.max(0, Math.floor(Math.log10(calls)) - 1);
  return Math.max(1, Math.floor(calls / unit) * unit);
}
