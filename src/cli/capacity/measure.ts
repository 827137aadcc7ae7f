import type { LoadResult } from '../../load/load-run.js';
import {
  autoWorkers,
  mostMeasurable,
  propose,
  roundedDown,
  signsOfLimit,
  workersFor,
  type Proposal,
} from './estimate.js';

/** So many calls at once for some seconds, and how the bridge took them. */
export interface CapacityStep {
  readonly result: LoadResult;
  /** held: it carried them. limit: it did not. generator: the callers were late, which says nothing of the bridge. */
  readonly verdict: 'held' | 'limit' | 'generator';
  /** Why it is at its limit. */
  readonly signs: readonly string[];
}

export interface Capacity {
  readonly steps: readonly CapacityStep[];
  readonly proposal: Proposal;
  /** The most calls that were seen to be carried; 0 if never. */
  readonly heldCalls: number;
  /** What was measured, and what the proposal was computed from. */
  readonly basis: LoadResult;
}

export interface CapacityOptions {
  readonly cores: number;
  /** No step has more calls. */
  readonly mostCalls: number;
  /** Puts so many calls on a bridge with `media.workers: auto`. */
  readonly measure: (calls: number) => Promise<LoadResult>;
  readonly onStep: (step: CapacityStep) => void;
}

const FIRST_CALLS = 50;
const MAX_STEPS = 3;
/** A step that has less than this to add is not worth its seconds. */
const MIN_GROWTH = 1.25;
/** After too many calls, this part of them. */
const RETREAT = 0.6;

/** A first step tells the cost of a call, and that tells which steps are worth measuring. */
export async function measureCapacity(options: CapacityOptions): Promise<Capacity> {
  const { cores, mostCalls, measure, onStep } = options;
  const steps: CapacityStep[] = [];
  let calls: number | undefined = Math.min(FIRST_CALLS, mostCalls);
  while (calls !== undefined && steps.length < MAX_STEPS) {
    const step = judged(await measure(calls), autoWorkers(cores));
    steps.push(step);
    onStep(step);
    calls = nextCalls(steps, options);
  }
  return concluded(steps, cores);
}

function judged(result: LoadResult, workers: number): CapacityStep {
  const signs = signsOfLimit(result, workers);
  // Calls that failed are no fault of late callers, who may not have called at all.
  if (result.failed === 0 && !result.generator.isValid) return { result, verdict: 'generator', signs };
  return { result, verdict: signs.length === 0 ? 'held' : 'limit', signs };
}

/** Undefined when another step would tell no more. */
function nextCalls(steps: readonly CapacityStep[], { cores, mostCalls }: CapacityOptions): number | undefined {
  const last = steps.at(-1);
  if (!last) return undefined;
  const { result, verdict } = last;
  const held = heldCalls(steps);
  if (verdict === 'held') {
    if (steps.some((step) => step.verdict !== 'held')) return undefined;
    const { maxConcurrent } = propose(result.cpuPerCall, cores);
    const calls = Math.min(maxConcurrent, mostMeasurable(result, cores), mostCalls);
    return calls >= MIN_GROWTH * held ? calls : undefined;
  }
  // What is known of the bridge is enough when it is the generator that cannot do more.
  if (verdict === 'generator' && held > 0) return undefined;
  const calls = roundedDown(RETREAT * result.calls);
  return calls < result.calls && calls >= MIN_GROWTH * held ? calls : undefined;
}

function heldCalls(steps: readonly CapacityStep[]): number {
  return Math.max(0, ...steps.map(({ verdict, result }) => (verdict === 'held' ? result.calls : 0)));
}

function concluded(steps: readonly CapacityStep[], cores: number): Capacity {
  const held = heldCalls(steps);
  const basis = (steps.find(({ result }) => result.calls === held) ?? steps.at(-1))?.result;
  if (!basis) throw new Error('nothing was measured');
  const computed = propose(basis.cpuPerCall, cores);
  const tooMany = steps.filter(({ verdict }) => verdict === 'limit').map(({ result }) => result.calls);
  // What was seen to be too much is not proposed, however little CPU it took.
  const known = tooMany.length === 0 ? Infinity : held > 0 ? held : roundedDown(RETREAT * Math.min(...tooMany));
  const maxConcurrent = Math.min(computed.maxConcurrent, known);
  const workers = workersFor(maxConcurrent, basis.cpuPerCall.otherThreads, cores);
  return { steps, basis, heldCalls: held, proposal: { ...computed, maxConcurrent, workers } };
}
