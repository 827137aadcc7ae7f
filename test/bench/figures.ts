/** One line of the table; numbers in the unit the name gives. */
export interface Row {
  readonly name: string;
  readonly values: Readonly<Record<string, number>>;
}

/** Nearest rank; NaN of nothing. */
export function percentile(values: readonly number[], percent: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil((percent / 100) * sorted.length) - 1)] ?? NaN;
}

/** How often, and how large in the middle and at the edge. */
export function spread(values: readonly number[]): Row['values'] {
  return {
    n: values.length,
    p50: percentile(values, 50),
    p95: percentile(values, 95),
    p99: percentile(values, 99),
    max: percentile(values, 100),
  };
}

const VALUE_WIDTH = 12;

/** The rows below one another; the columns are those of the first. */
export function formatTable(title: string, rows: readonly Row[], valueWidth = VALUE_WIDTH): string {
  const columns = Object.keys(rows[0]?.values ?? {});
  const nameWidth = Math.max(title.length, ...rows.map(({ name }) => name.length));
  const line = (name: string, cells: readonly string[]): string =>
    name.padEnd(nameWidth) + cells.map((cell) => cell.padStart(valueWidth)).join('') + '\n';
  const body = rows.map(({ name, values }) =>
    line(
      name,
      columns.map((column) => formatNumber(values[column])),
    ),
  );
  return `${line(title, columns)}${body.join('')}\n`;
}

function formatNumber(value: number | undefined): string {
  if (value === undefined) return '';
  return Number.isInteger(value) ? `${value}` : value.toFixed(2);
}
