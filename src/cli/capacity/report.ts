import { autoWorkers, mediaThreadPercent, propose, workersFor } from './estimate.js';
import type { Capacity, CapacityStep } from './measure.js';

/** What was found, and where. */
export interface CapacityFacts extends Capacity {
  readonly cores: number;
  /** How busy the machine was with other things before, in percent of all cores. */
  readonly othersPercent: number;
  /** What a G.722 call takes of one core for its codec, in percent. */
  readonly g722Percent: number;
}

const VERDICTS = {
  held: () => 'carried',
  limit: (signs: readonly string[]) => `too many: ${signs.join(', ')}`,
  generator: () => 'the callers, on this machine too, were late: this says nothing of the bridge',
} as const;

/** Others that take less do not show in the figures. */
const MAX_OTHERS_PERCENT = 10;

/** A warning, when there is something to warn of. */
export function othersText(othersPercent: number): string {
  if (othersPercent <= MAX_OTHERS_PERCENT) return '';
  return `Something else keeps ${othersPercent.toFixed(0)} % of this machine busy: what is measured is what that leaves.\n\n`;
}

/** One line. */
export function stepText({ result, verdict, signs }: CapacityStep, cores: number): string {
  const { calls, cpuPerCall, pacingMs, generator } = result;
  const busy = mediaThreadPercent(result, autoWorkers(cores));
  return `${String(calls).padStart(5)} calls: ${[
    `${percent(cpuPerCall.total)} of a core each`,
    `media threads ${busy.toFixed(0)} % busy`,
    `RTP p99 ${pacingMs.p99.toFixed(1)} ms off`,
    `callers ${generator.cpuPercent.toFixed(0)} % of a core`,
  ].join(', ')}. ${VERDICTS[verdict](signs)}\n`;
}

export function capacityText(facts: CapacityFacts): string {
  if (facts.heldCalls === 0)
    return '\nNo step could be carried, so there is nothing to propose. Is this machine busy with something else?\n';
  const { basis, proposal, cores, g722Percent } = facts;
  const { mainThread, otherThreads, total } = basis.cpuPerCall;
  const wideband = widebandOf(facts);
  return `
A call takes ${percent(total)} of a core, ${percent(mainThread)} on the main thread and ${percent(otherThreads)} on media threads, and ${megabytesPerCall(facts).toFixed(2)} MB.
An idle bridge takes ${basis.residentMb.before.toFixed(0)} MB.
${basisText(facts)}

call:
  maxConcurrent: ${proposal.maxConcurrent}
media:
  workers: ${proposal.workers}

That leaves 40 % of every thread and a quarter of ${cores === 1 ? 'the core' : `the ${cores} cores`}; the ${proposal.fills} would be full first.
Callers who choose G.722 take up to ${percent(g722Percent)} more each: ${wideband.maxConcurrent}, with ${threads(wideband.workers)}, if all of them do.
`;
}

/** The proposal as sections of the configuration, and the figures behind it. */
export function capacityJson(facts: CapacityFacts): Readonly<Record<string, unknown>> {
  const { steps, basis, proposal, heldCalls, cores, othersPercent, g722Percent } = facts;
  return {
    proposal:
      heldCalls === 0
        ? null
        : { call: { maxConcurrent: proposal.maxConcurrent }, media: { workers: proposal.workers } },
    source: isMeasured(facts) ? 'measured' : 'computed',
    fills: proposal.fills,
    cores,
    othersPercent,
    heldCalls,
    cpuPercentPerCall: basis.cpuPerCall,
    idleMb: basis.residentMb.before,
    mbPerCall: megabytesPerCall(facts),
    g722: { cpuPercentPerCall: g722Percent, ...widebandOf(facts) },
    steps: steps.map(({ result, verdict, signs }) => ({ verdict, signs, ...result })),
  };
}

/** What is proposed where every caller has chosen G.722. Its codec runs on the media threads. */
function widebandOf({ basis, proposal, cores, g722Percent }: CapacityFacts): {
  maxConcurrent: number;
  workers: number;
} {
  const { mainThread, otherThreads } = basis.cpuPerCall;
  const cost = { mainThread, otherThreads: otherThreads + g722Percent };
  const maxConcurrent = Math.min(proposal.maxConcurrent, propose(cost, cores).maxConcurrent);
  return { maxConcurrent, workers: workersFor(maxConcurrent, cost.otherThreads, cores) };
}

const isMeasured = ({ proposal, heldCalls }: CapacityFacts): boolean => proposal.maxConcurrent <= heldCalls;

function basisText(facts: CapacityFacts): string {
  const { heldCalls } = facts;
  const used = threads(autoWorkers(facts.cores));
  if (isMeasured(facts)) return `Measured: ${heldCalls} calls at once were carried, by ${used}.`;
  return `Measured with ${heldCalls} calls at once on ${used}, computed from their CPU beyond: the callers need this machine too.`;
}

const megabytesPerCall = ({ basis: { residentMb, calls } }: CapacityFacts): number =>
  (residentMb.after - residentMb.before) / calls;

const percent = (value: number): string => `${value.toFixed(2)} %`;

const threads = (count: number): string => `${count} media thread${count === 1 ? '' : 's'}`;
