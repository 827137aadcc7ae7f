import { parse } from 'yaml';

/** What the tests read of a service. */
export interface ComposeService {
  readonly image: string;
  readonly user?: string;
  readonly command?: readonly string[];
  readonly environment: Readonly<Record<string, string | number>>;
  readonly volumes?: readonly string[];
  readonly network_mode?: string;
  readonly read_only?: boolean;
  readonly cap_drop?: readonly string[];
  readonly security_opt?: readonly string[];
}

/** A `${VARIABLE}` of a compose file. */
export interface ComposeVariable {
  readonly name: string;
  /** Behind `:-`: what stands in when it is unset or empty. */
  readonly fallback?: string;
  /** `:?`: compose refuses to start without it. */
  readonly required: boolean;
}

const EXPRESSION = /^(\w+)(?::([-?])([^]*))?$/;

/** The services, with YAML's merge keys resolved and variables left as they are. */
export function parseServices(text: string): Record<string, ComposeService> {
  return (parse(text, { merge: true }) as { services: Record<string, ComposeService> }).services;
}

/** All variables of a text, those inside a fallback included. */
export function variablesOf(text: string): ComposeVariable[] {
  const found: ComposeVariable[] = [];
  replaceVariables(text, (variable) => {
    found.push(variable, ...variablesOf(variable.fallback ?? ''));
    return '';
  });
  return found;
}

/**
 * Fills in variables as compose does.
 * @throws Error for a required one that is missing
 */
export function interpolate(text: string, values: Readonly<Record<string, string>>): string {
  return replaceVariables(text, ({ name, fallback, required }) => {
    const value = values[name] ?? '';
    if (value === '' && required) throw new Error(`${name} is missing`);
    return value === '' ? interpolate(fallback ?? '', values) : value;
  });
}

function replaceVariables(text: string, replacement: (variable: ComposeVariable) => string): string {
  let result = '';
  let position = 0;
  while (position < text.length) {
    const start = text.indexOf('$', position);
    if (start === -1) return result + text.slice(position);
    result += text.slice(position, start);
    if (text[start + 1] === '$') {
      result += '$';
      position = start + 2;
    } else {
      const end = closingBrace(text, start);
      result += replacement(variable(text.slice(start + 2, end)));
      position = end + 1;
    }
  }
  return result;
}

function closingBrace(text: string, start: number): number {
  if (text[start + 1] !== '{') throw new Error(`a lone $ in ${text}`);
  let depth = 0;
  for (let at = start + 1; at < text.length; at += 1) {
    if (text[at] === '{') depth += 1;
    if (text[at] === '}') depth -= 1;
    if (depth === 0) return at;
  }
  throw new Error(`no } in ${text}`);
}

function variable(expression: string): ComposeVariable {
  const [, name, operator, rest] = EXPRESSION.exec(expression) ?? [];
  if (name === undefined) throw new Error(`not a variable: \${${expression}}`);
  return { name, required: operator === '?', ...(operator === '-' && rest !== undefined ? { fallback: rest } : {}) };
}
