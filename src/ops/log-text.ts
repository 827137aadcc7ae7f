/**
 * What a terminal or an editor takes for more than text, and JSON leaves as it is: DEL and the C1 controls (U+009B begins a
 * terminal's commands), line and paragraph separators, the marks that turn the direction of what follows, invisible ones.
 */
const TREACHEROUS = /[\u007f-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb]/g;

/** A line of JSON with those escaped; it says the same. */
export function escapeControls(json: string): string {
  return json.replace(TREACHEROUS, escaped);
}

/** A line of JSON whose escapes stay escapes when it is printed as text: all but line feeds and tabs, which stacks have. */
export function keepEscaped(json: string): string {
  return json.replace(/\\(?:[\\bfr]|u[\da-f]{4})/g, (escape) => (escape === '\\\\' ? escape : `\\${escape}`));
}

function escaped(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
}
