/** A figure and when it was taken. */
export interface Point {
  readonly atMinutes: number;
  readonly value: number;
}

const MAX_WARM_UP_MINUTES = 10;

/** How much of the beginning says nothing of the long run: 10 minutes, or a third of a run shorter than 30. */
export const warmUpMinutes = (runMinutes: number): number => Math.min(MAX_WARM_UP_MINUTES, runMinutes / 3);

/** What the value gains in a minute, by least squares; NaN of fewer than two points in time. */
export function slopePerMinute(points: readonly Point[]): number {
  const meanOf = (of: (point: Point) => number): number => points.reduce((sum, p) => sum + of(p), 0) / points.length;
  const at = meanOf(({ atMinutes }) => atMinutes);
  const value = meanOf((point) => point.value);
  const along = meanOf((point) => (point.atMinutes - at) * (point.value - value));
  return along / meanOf(({ atMinutes }) => (atMinutes - at) ** 2);
}
