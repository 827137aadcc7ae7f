import { createRequire } from 'node:module';
import type * as Re2 from 're2js';
import { errorText } from '../../error-text.js';

/** A regular expression that takes time in proportion to the text, whatever either is. */
export interface Pattern {
  /** Whether it is found in `text`. */
  test(text: string): boolean;
}

/** Instructions of RE2: each is looked at once a character. `\d{1,1000}` alone has 1,000. */
const MAX_PROGRAM_SIZE = 2_000;
/** RE2JS reads a back-reference by name as the letters in it. */
const NAMED_REFERENCE = /(?<!\\)(?:\\\\)*\\k/;

/**
 * Checks a regular expression an operator wrote, in JavaScript's syntax. The texts it will meet come from the network, so it
 * is run by RE2, which has no look-around and no back-references and cannot run away.
 * Returns what is wrong with it, or undefined.
 */
export function patternFault(source: string): string | undefined {
  try {
    // What is no JavaScript may mean something else to RE2.
    new RegExp(source);
    if (NAMED_REFERENCE.test(source)) return 'back-references are not supported';
    return compiled(source).programSize() > MAX_PROGRAM_SIZE ? 'repeats too much' : undefined;
  } catch (error) {
    return errorText(error);
  }
}

/** The one way a configured pattern becomes a regular expression. */
export function compilePattern(source: string): Pattern {
  return compiled(source);
}

function compiled(source: string): Re2.RE2JS {
  // Loaded by those alone who use patterns.
  const { RE2JS } = createRequire(import.meta.url)('re2js') as typeof Re2;
  return RE2JS.compile(RE2JS.translateRegExp(source));
}
