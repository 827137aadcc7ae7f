import convict from 'convict';
import { REDACTED, showValue } from './faults.js';
import type { FaultList } from './faults.js';
import { LEAVES, SCHEMA, isSetting, schemaNode } from './schema.js';
import type { Branch, Leaf, Setting, Settings } from './schema.js';
import type { Source } from './types.js';

/** The three places values come from, beside the defaults. All by dotted path, but `environment` by variable. */
export interface SettingsInput {
  readonly file: ReadonlyMap<string, unknown>;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly commandLine: ReadonlyMap<string, string>;
}

/** The part of convict in use, without the `any` of its own typings. */
interface Store {
  get(path: string): unknown;
  set(path: string, value: unknown): void;
  load(values: object): void;
}

// Each setting is a convict format of its own, named like its path: convict's built-in ones take `12abc` for 12.
convict.addFormats(Object.fromEntries(LEAVES.map((leaf) => [leaf.path, convictFormat(leaf)])));

/**
 * Lays file, environment and command line over the defaults and checks what comes out, setting by setting
 * (convict's own check stops at one message for all of them).
 * @returns values that are only to be trusted while `faults` has none, and who decided each
 */
export function resolveSettings(
  input: SettingsInput,
  faults: FaultList,
): { settings: Settings; sources: Map<string, Source> } {
  const store = layered(input);
  const sources = new Map<string, Source>();
  const values = new Map<string, unknown>();
  for (const leaf of LEAVES) {
    const source = sourceOf(leaf, input);
    sources.set(leaf.path, source);
    values.set(leaf.path, checked(leaf, store.get(leaf.path), source, faults));
  }
  return { settings: assemble(SCHEMA, '', values) as unknown as Settings, sources };
}

function layered(input: SettingsInput): Store {
  const env = Object.fromEntries(Object.entries(input.environment).filter(([, value]) => isGiven(value)));
  // The typings want every default written in the type it is converted to.
  const schema = convictSchema(SCHEMA, '') as convict.Schema<object>;
  const store = convict(schema, { env, args: [] }) as unknown as Store;
  for (const [path, value] of input.file) {
    if (!isUnset(path, value)) store.set(path, value);
  }
  // Loading nothing makes convict lay the environment over what the file has set.
  store.load({});
  for (const [path, value] of input.commandLine) store.set(path, value);
  return store;
}

function convictSchema(branch: Branch, parent: string): Record<string, unknown> {
  const entries = Object.entries(branch).map(([key, node]) => {
    const path = parent === '' ? key : `${parent}.${key}`;
    return [key, isSetting(node) ? convictSetting(node, path) : convictSchema(node, path)];
  });
  return Object.fromEntries(entries) as Record<string, unknown>;
}

function convictSetting(node: Setting<unknown>, path: string): convict.SchemaObj {
  return {
    format: path,
    default: node.default,
    nullable: node.default === null,
    ...(node.env === undefined ? {} : { env: node.env }),
    ...(node.secret ? { sensitive: true } : {}),
  };
}

function convictFormat(leaf: Leaf): convict.Format {
  return {
    validate(value: unknown) {
      if (leaf.format.parse(value) === undefined) throw new Error(`expected ${leaf.format.what}`);
    },
    // What cannot be converted stays as it is, for the check to complain about.
    coerce: (text: unknown) => leaf.format.parse(text) ?? text,
  };
}

function checked(leaf: Leaf, value: unknown, source: Source, faults: FaultList): unknown {
  if (value === null && leaf.default === null) return undefined;
  const parsed = leaf.format.parse(value);
  if (parsed === undefined) {
    faults.add({
      path: leaf.path,
      message: `expected ${leaf.format.what}`,
      value: leaf.secret ? REDACTED : showValue(value),
      ...(source === 'environment' && leaf.env !== undefined ? { from: leaf.env } : {}),
      ...(source === 'command line' ? { from: 'the command line' } : {}),
      allowed: leaf.format.allowed,
    });
  }
  return parsed;
}

function sourceOf(leaf: Leaf, input: SettingsInput): Source {
  if (input.commandLine.has(leaf.path)) return 'command line';
  if (leaf.env !== undefined && isGiven(input.environment[leaf.env])) return 'environment';
  return input.file.has(leaf.path) && !isUnset(leaf.path, input.file.get(leaf.path)) ? 'file' : 'default';
}

/** An empty variable is how compose files and unit files say "not set". */
function isGiven(value: string | undefined): boolean {
  return value !== undefined && value.trim() !== '';
}

/** `advertise:` with nothing behind it; where there must be a value, that is a fault. */
function isUnset(path: string, value: unknown): boolean {
  const node = schemaNode(path.split('.'));
  return value === null && node !== undefined && isSetting(node) && node.default === null;
}

function assemble(branch: Branch, parent: string, values: ReadonlyMap<string, unknown>): Record<string, unknown> {
  const entries = Object.entries(branch).map(([key, node]) => {
    const path = parent === '' ? key : `${parent}.${key}`;
    return [key, isSetting(node) ? values.get(path) : assemble(node, path, values)];
  });
  return Object.fromEntries(entries) as Record<string, unknown>;
}
