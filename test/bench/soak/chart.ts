const BLOCKS = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'] as const;
const FULL = BLOCKS.length - 1;
const ROWS = 3;
const COLUMNS = 72;
const NAME_WIDTH = 16;
const LABEL_WIDTH = 8;

/**
 * Columns over time from the least value to the greatest, which are told on the left; each is the greatest of the values that
 * share it. Where there is none (NaN) it is empty. At most 100 characters wide, each line ending with a line feed.
 */
export function chart(name: string, values: readonly number[]): string {
  const columns = greatestOfEach(values);
  const known = columns.filter((value) => !Number.isNaN(value));
  if (known.length === 0) return `${name.padEnd(NAME_WIDTH)}no figures\n`;
  const [least, greatest] = [Math.min(...values.filter((value) => !Number.isNaN(value))), Math.max(...known)];
  const heights = columns.map((value) => heightOf(value, least, greatest));
  return Array.from({ length: ROWS }, (_, row) => {
    const label = row === 0 ? greatest.toFixed(1) : row === ROWS - 1 ? least.toFixed(1) : '';
    const below = FULL * (ROWS - 1 - row);
    const blocks = heights.map((height) => BLOCKS[Math.min(FULL, Math.max(0, height - below))]).join('');
    return `${(row === 0 ? name : '').padEnd(NAME_WIDTH)}${label.padStart(LABEL_WIDTH)} │${blocks}\n`;
  }).join('');
}

/** In eighths of a row. The least is seen, too. */
function heightOf(value: number, least: number, greatest: number): number {
  if (Number.isNaN(value)) return 0;
  return greatest === least ? 1 : 1 + Math.round(((value - least) / (greatest - least)) * (FULL * ROWS - 1));
}

function greatestOfEach(values: readonly number[]): number[] {
  const count = Math.min(COLUMNS, values.length);
  return Array.from({ length: count }, (_, column) => {
    const share = values.slice(
      Math.floor((column * values.length) / count),
      Math.floor(((column + 1) * values.length) / count),
    );
    const known = share.filter((value) => !Number.isNaN(value));
    return known.length === 0 ? NaN : Math.max(...known);
  });
}
