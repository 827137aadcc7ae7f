import { TWO_WAY, type BridgeLog } from './bridge-log.js';
import type { BridgeSample } from './bridge-sample.js';
import { chart } from './chart.js';
import type { SoakCalls } from './soak-calls.js';
import { slopePerMinute, warmUpMinutes } from './trend.js';

/** What a soak has shown. */
export interface SoakResult {
  readonly calls: Pick<SoakCalls, 'answered' | 'failures' | 'lateMs'>;
  readonly log: Pick<BridgeLog, 'verdicts' | 'otherEndings' | 'complaints' | 'firstComplaints'>;
  /** While calls were up. */
  readonly samples: readonly BridgeSample[];
  /** The idle bridge before the first call and after the last. */
  readonly before: Idle;
  readonly after: Idle;
  /** Of the bridge; null when a signal ended it. */
  readonly exitCode: number | null;
  /** What broke the soak off, if anything did. */
  readonly fault?: string;
}

/** A bridge without calls. */
export interface Idle extends Pick<BridgeSample, 'calls' | 'residentMb' | 'descriptors'> {
  /** What keeps event loops alive, by kind and thread. */
  readonly handles: ReadonlyMap<string, number>;
}

const MAX_SLOPE_MB = 1;
/** In a shorter run the slope shows how the process warms up. */
const SLOPE_COUNTS_FROM_MINUTES = 20;

const minutesOf = ({ samples }: SoakResult): number => samples.at(-1)?.atMinutes ?? 0;

/** MB per 10 minutes once the process has warmed up; NaN of too few samples. */
export function residentSlope(result: SoakResult): number {
  const from = warmUpMinutes(minutesOf(result));
  const settled = result.samples.filter(({ atMinutes }) => atMinutes >= from);
  return 10 * slopePerMinute(settled.map(({ atMinutes, residentMb }) => ({ atMinutes, value: residentMb })));
}

/** "2 × Timeout of thread 0": what there is more of than before. */
export function leakedHandles({ before, after }: SoakResult): string[] {
  return [...after.handles].flatMap(([kind, count]) => {
    const more = count - (before.handles.get(kind) ?? 0);
    return more > 0 ? [`${more} × ${kind}`] : [];
  });
}

/** Why the soak is not passed; empty when it is. */
export function shortcomings(result: SoakResult): string[] {
  const { calls, log, before, after, exitCode, fault } = result;
  const slope = residentSlope(result);
  const leaked = after.descriptors - before.descriptors;
  const others = log.verdicts.total - log.verdicts.of(TWO_WAY);
  const unrecorded = calls.answered - log.verdicts.total;
  const handles = leakedHandles(result);
  const checks: readonly (readonly [boolean, string])[] = [
    [fault !== undefined, `broken off: ${fault ?? ''}`],
    [calls.answered === 0, 'no call was answered'],
    [calls.failures.total > 0, `calls failed: ${calls.failures.toString()}`],
    [others > 0, `calls without two-way audio: ${others}`],
    [unrecorded !== 0, `answered calls without a record: ${unrecorded}`],
    [log.otherEndings.total > 0, `calls that the caller did not end: ${log.otherEndings.toString()}`],
    [after.calls > 0, `calls that the bridge did not end: ${after.calls}`],
    [leaked > 0, `descriptors leaked: ${leaked}`],
    [handles.length > 0, `handles leaked: ${handles.join(', ')}`],
    [minutesOf(result) >= SLOPE_COUNTS_FROM_MINUTES && !(slope < MAX_SLOPE_MB), `RSS grows: ${slopeText(slope)}`],
    [exitCode !== 0, `exit code of the bridge: ${exitCode ?? 'none, a signal ended it'}`],
  ];
  return checks.filter(([isSo]) => isSo).map(([, text]) => text);
}

const handleCount = ({ handles }: Idle): number => [...handles.values()].reduce((sum, count) => sum + count, 0);
const slopeText = (slope: number): string => `${slope.toFixed(2)} MB per 10 minutes`;

/** The charts and figures, each line ending with a line feed. */
export function formatResult(result: SoakResult): string {
  const { calls, log, samples, before, after } = result;
  const minutes = minutesOf(result);
  const lines = [
    `${minutes.toFixed(1)} minutes`,
    `RSS slope after the first ${warmUpMinutes(minutes).toFixed(1)} minutes: ${slopeText(residentSlope(result))}`,
    `RSS idle before and after: ${before.residentMb.toFixed(1)} and ${after.residentMb.toFixed(1)} MB`,
    `descriptors idle before and after: ${before.descriptors} and ${after.descriptors}`,
    `handles idle before and after: ${handleCount(before)} and ${handleCount(after)}`,
    `calls answered: ${calls.answered}; failed: ${calls.failures.toString()}`,
    `verdicts: ${log.verdicts.toString()}`,
    `ended otherwise than by the caller: ${log.otherEndings.toString()}`,
    `log lines of level warn and above: ${log.complaints.toString()}`,
    ...log.firstComplaints.map((line) => `  ${line}`),
    `the generator's own ticks late: p99 ${calls.lateMs.p99.toFixed(1)} ms, max ${calls.lateMs.max.toFixed(1)} ms`,
  ];
  return `${charts(samples)}\n${lines.join('\n')}\n`;
}

function charts(samples: readonly BridgeSample[]): string {
  const of = (name: string, key: keyof BridgeSample): string =>
    chart(
      name,
      samples.map((sample) => sample[key]),
    );
  return [
    of('RSS MB', 'residentMb'),
    of('descriptors', 'descriptors'),
    of('main p99 ms', 'mainDelayMs'),
    of('media p99 ms', 'mediaDelayMs'),
    of('CPU %', 'cpuPercent'),
    of('calls up', 'calls'),
    of('not two-way', 'otherVerdicts'),
  ].join('\n');
}
