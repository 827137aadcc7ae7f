/** An element of a parsed document. Text between elements is not kept: FreeSWITCH's configuration has none. */
export interface XmlElement {
  readonly name: string;
  readonly attributes: ReadonlyMap<string, string>;
  readonly children: readonly XmlElement[];
}

interface OpenElement extends XmlElement {
  readonly children: XmlElement[];
}

const DECLARATION = /<\?xml [^?<>]*\?>\s*/y;
const COMMENT = /<!--(?:(?!--)[^])*-->/y;
const TAG = /<(\/?)([A-Za-z_][\w.-]*)((?:\s+[A-Za-z_][\w.:-]*\s*=\s*(?:"[^"<]*"|'[^'<]*'))*)\s*(\/?)>/y;
const ATTRIBUTE = /([A-Za-z_][\w.:-]*)\s*=\s*(?:"([^"]*)"|'([^']*)')/g;
const TEXT = /[^<]+/y;
const STRAY_AMPERSAND = /&(?!(?:amp|lt|gt|quot|apos|#\d+|#x[\da-fA-F]+);)/;

/**
 * Reads elements, attributes and comments: what configuration files are written in. No CDATA, no DTD.
 * @throws Error that says where the text stops being well-formed
 */
export function parseXml(text: string): XmlElement {
  const document: OpenElement = { name: '', attributes: new Map(), children: [] };
  const open = [document];
  let position = take(DECLARATION, text, 0)?.[0].length ?? 0;
  while (position < text.length) {
    const token = take(COMMENT, text, position) ?? take(TAG, text, position) ?? take(TEXT, text, position);
    if (!token) throw fault('neither a tag nor a comment', text, position);
    if (STRAY_AMPERSAND.test(token[0]) && !token[0].startsWith('<!--')) throw fault('stray &', text, position);
    if (token[2] !== undefined) placeTag(token, open, text, position);
    else if (open.length === 1 && !token[0].startsWith('<!--') && token[0].trim() !== '') {
      throw fault('text outside the root element', text, position);
    }
    position += token[0].length;
  }
  const [root, ...more] = document.children;
  if (open.length > 1) throw fault(`<${open.at(-1)?.name ?? ''}> is never closed`, text, position);
  if (!root || more.length > 0) throw fault('not exactly one root element', text, position);
  return root;
}

/** The element and everything inside it, in document order. */
export function* elementsOf(element: XmlElement): Generator<XmlElement> {
  yield element;
  for (const child of element.children) yield* elementsOf(child);
}

function take(pattern: RegExp, text: string, position: number): RegExpExecArray | undefined {
  pattern.lastIndex = position;
  return pattern.exec(text) ?? undefined;
}

function placeTag(token: RegExpExecArray, open: OpenElement[], text: string, position: number): void {
  const [, closing, name = '', attributes = '', empty] = token;
  if (closing === '/') {
    const last = open.length > 1 ? open.pop() : undefined;
    if (last?.name !== name || attributes !== '' || empty === '/') throw fault(`unexpected </${name}>`, text, position);
    return;
  }
  const element: OpenElement = { name, attributes: readAttributes(attributes, text, position), children: [] };
  open.at(-1)?.children.push(element);
  if (empty !== '/') open.push(element);
}

function readAttributes(source: string, text: string, position: number): Map<string, string> {
  const attributes = new Map<string, string>();
  for (const [, name = '', double, single] of source.matchAll(ATTRIBUTE)) {
    if (attributes.has(name)) throw fault(`${name} given twice`, text, position);
    attributes.set(name, double ?? single ?? '');
  }
  return attributes;
}

function fault(what: string, text: string, position: number): Error {
  return new Error(`line ${text.slice(0, position).split('\n').length}: ${what}`);
}
