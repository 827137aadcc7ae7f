import { LineCounter, parseDocument } from 'yaml';
import type { Document, ToJSOptions } from 'yaml';
import { errorText } from '../error-text.js';
import { readRegularFile } from '../regular-file.js';
import { ConfigError, showKey } from './faults.js';
import type { Fault, FaultList } from './faults.js';
import { isSetting, schemaNode } from './schema.js';
import type { Branch } from './schema.js';

/** Room for 50,000 routes; a file larger than that is a mistake, such as the path of a recording. */
const MAX_FILE_BYTES = 8 * 1024 * 1024;
const MAX_SYNTAX_FAULTS = 10;
const MAX_ALIASES: ToJSOptions = { maxAliasCount: 100 };
/** No setting is nested as deeply; an alias that stands for what it is part of is so without end. */
const MAX_DEPTH = 32;

/**
 * The content of a YAML file, and so of a JSON file too. Numbers are left as they are written: read as numbers,
 * `did: +15551234` would lose its plus sign and `prefix: 0049` its zeros.
 * @throws ConfigError with the place of each syntax fault
 */
export function readDocument(file: string): unknown {
  return parseText(readText(file), file);
}

function readText(file: string): string {
  try {
    const content = readRegularFile(file, MAX_FILE_BYTES);
    if (content) return content.toString('utf8');
  } catch (error) {
    throw new ConfigError([{ path: file, message: `cannot be read: ${errorText(error)}` }]);
  }
  throw new ConfigError([{ path: file, message: 'is too large', allowed: `up to ${MAX_FILE_BYTES} bytes` }]);
}

function parseText(text: string, file: string): unknown {
  try {
    const lines = new LineCounter();
    const document = parseDocument(text, {
      lineCounter: lines,
      // The pretty form quotes the offending line, which may hold a key.
      prettyErrors: false,
      stringKeys: true,
      schema: 'core',
      customTags: (tags) => tags.filter((tag) => typeof tag === 'string' || !/:(int|float)$/.test(tag.tag)),
    });
    const faults = syntaxFaults(document, lines, file);
    if (faults.length > 0) throw new ConfigError(faults);
    const content = document.toJS(MAX_ALIASES) as unknown;
    if (isDeeperThan(MAX_DEPTH, content)) throw new Error(`is nested more than ${MAX_DEPTH} levels deep`);
    return content;
  } catch (error) {
    // Not syntax: too many aliases, or nested so deeply that the parser gave up.
    throw error instanceof ConfigError ? error : new ConfigError([{ path: file, message: errorText(error) }]);
  }
}

function syntaxFaults(document: Document.Parsed, lines: LineCounter, file: string): Fault[] {
  return [...document.errors, ...document.warnings].slice(0, MAX_SYNTAX_FAULTS).map((fault) => {
    const { line, col } = lines.linePos(fault.pos[0]);
    return { path: `${file}:${line}:${col}`, message: fault.message };
  });
}

function isDeeperThan(depth: number, node: unknown): boolean {
  if (typeof node !== 'object' || node === null) return false;
  return depth === 0 || Object.values(node).some((child) => isDeeperThan(depth - 1, child));
}

/** What a file says, by dotted path of the schema. A key the schema does not know is a fault. */
export function settingsOf(document: unknown, faults: FaultList): Map<string, unknown> {
  const found = new Map<string, unknown>();
  collect(document, [], found, faults);
  return found;
}

function collect(node: unknown, path: string[], found: Map<string, unknown>, faults: FaultList): void {
  const schema = schemaNode(path);
  if (schema && isSetting(schema)) {
    found.set(path.join('.'), node);
  } else if (isMapping(node)) {
    for (const [key, child] of Object.entries(node)) {
      if (schemaNode([...path, key])) collect(child, [...path, key], found, faults);
      else faults.add(unknownKey(path, key, schema ?? {}));
    }
  } else if (node !== null) {
    // A group with everything in it commented out reads as null; that is no fault.
    const allowed = `one of the keys ${Object.keys(schema ?? {}).join(', ')}`;
    faults.add({ path: path.join('.') || 'file', message: 'expected a mapping', allowed });
  }
}

/** Finds the key that no copy of a mapping keeps, so that whoever reads one cannot name it as unknown. */
export function refusePrototypes(path: string, node: unknown, faults: FaultList): void {
  if (typeof node !== 'object' || node === null) return;
  for (const [key, child] of Object.entries(node)) {
    const childPath = Array.isArray(node) ? `${path}[${key}]` : `${path}.${key}`;
    if (key === '__proto__') faults.add({ path: childPath, message: 'unknown key' });
    else refusePrototypes(childPath, child, faults);
  }
}

/** Without the value: it may be a secret under a misspelt key. */
function unknownKey(path: readonly string[], key: string, schema: Branch): Fault {
  return {
    path: [...path, showKey(key)].join('.'),
    message: 'unknown key',
    allowed: Object.keys(schema).join(', '),
  };
}

export function isMapping(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
