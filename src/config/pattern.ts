/**
 * Checks a regular expression an operator wrote. The texts it will meet come from the network, so one that can take
 * exponential time is refused: a repeated group that itself repeats or alternates, such as `(\d+)*` or `(1|11)+`.
 * Returns what is wrong with it, or undefined.
 */
export function patternFault(source: string): string | undefined {
  try {
    new RegExp(source);
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
  return repeatsARepetition(source)
    ? 'repeats a group that itself repeats or alternates, which can take forever'
    : undefined;
}

/** The one way a configured pattern becomes a regular expression. */
export function compilePattern(source: string): RegExp {
  return new RegExp(source);
}

/** An escape, a class, a group's beginning, a group's end with its repetition, an alternation, a repetition. */
const TOKEN = /\\.|\[(?:\\.|[^\]\\])*\]|\(|\)(\*|\+|\{\d+,?\d*\})?|\||\*|\+|\{\d+,\}/gs;

function repeatsARepetition(source: string): boolean {
  // One entry for each open group: whether something in it can match one text in several ways.
  const open = [false];
  for (const [token, repetition] of source.matchAll(TOKEN)) {
    if (token === '(') open.push(false);
    else if (token.startsWith(')')) {
      const ambiguous = open.pop() === true;
      const repeated = repetition !== undefined && repetition !== '{1}' && repetition !== '{0,1}';
      if (ambiguous && repeated) return true;
      if (ambiguous || repeated) open[open.length - 1] = true;
    } else if (/^[|*+{]/.test(token)) open[open.length - 1] = true;
  }
  return false;
}
