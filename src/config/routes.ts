import { isMapping } from './document.js';
import { REDACTED, showKey, showValue } from './faults.js';
import type { FaultList } from './faults.js';
import * as formats from './formats.js';
import { normaliseNumber } from './number.js';
import { present } from './present.js';
import { distinct } from './route-set.js';
import type { UnnamedRoute } from './route-set.js';
import { Section } from './section.js';
import type { CallAction, Fallback, HeaderMatch, Route, RouteMatch, Target } from './types.js';

/** What a route falls back on where it says nothing of its own; keys are `''` where there is none. */
export interface RouteDefaults {
  readonly apiKey: string;
  /** Whether a route may name a key that is not there. */
  readonly withoutKeys: boolean;
  readonly url: string;
  readonly environment: Readonly<Record<string, string | undefined>>;
}

const MATCHERS = ['did', 'prefix', 'pattern', 'default'] as const;
const MAX_TARGETS = 16;

/** Whether some route has no key of its own. */
export function needsSharedKey(list: readonly unknown[]): boolean {
  return list.length === 0 || list.some((entry) => !isMapping(entry) || !Object.hasOwn(entry, 'apiKeyEnv'));
}

/** The routes of the file; what cannot be read is left out and noted in `faults`. */
export function readRoutes(list: readonly unknown[], defaults: RouteDefaults, faults: FaultList): Route[] {
  if (list.length === 0) {
    faults.add({ path: 'routes', message: 'required, at least one', allowed: 'a list in the file given by --config' });
  }
  const routes = list.map((entry, index) => {
    const section = Section.of(`routes[${index}]`, entry, faults);
    return section && readRoute(section, defaults);
  });
  return distinct(routes, faults);
}

function readRoute(section: Section, defaults: RouteDefaults): UnnamedRoute | undefined {
  const match = readMatch(section);
  const optional = {
    name: section.read('name', formats.label),
    from: readFrom(section),
    header: readHeader(section),
    maxConcurrent: section.read('maxConcurrent', formats.wholeNumber(1, 100_000)),
    fallback: readFallback(section),
    dtmf: readDtmf(section),
  };
  const required = {
    targets: readTargets(section),
    ...readProtocol(section),
    apiKey: readApiKey(section, defaults),
    url: section.read('url', formats.webSocketUrl) ?? defaults.url,
    onAgentEnd: readAction(section, 'onAgentEnd') ?? 'hangup',
  };
  section.end();
  return match && { match, ...required, ...present(optional) };
}

function readMatch(section: Section): RouteMatch | undefined {
  switch (section.exactlyOne(MATCHERS)) {
    case 'did': {
      const did = section.read('did', formats.phoneNumber);
      return did === undefined ? undefined : { did: normaliseNumber(did) };
    }
    case 'prefix': {
      const prefix = section.read('prefix', formats.numberPrefix);
      return prefix === undefined ? undefined : { prefix: normaliseNumber(prefix) };
    }
    case 'pattern': {
      const pattern = section.read('pattern', formats.pattern);
      return pattern === undefined ? undefined : { pattern };
    }
    case 'default':
      if (section.read('default', formats.flag) === false) {
        section.fault('default', 'matches nothing', { value: 'false', allowed: 'true' });
      }
      return { default: true };
    case undefined:
      return undefined;
  }
}

/** One caller may stand alone, without a list around it. */
function readFrom(section: Section): readonly string[] | undefined {
  if (Array.isArray(section.raw('from'))) return section.read('from', formats.listOf(formats.callerMatcher));
  const caller = section.read('from', formats.callerMatcher);
  return caller === undefined ? undefined : [caller];
}

function readHeader(section: Section): HeaderMatch | undefined {
  const header = section.child('header');
  if (!header) return undefined;
  if (!header.has('name')) header.fault('name', 'required', { allowed: formats.headerName.allowed });
  const name = header.read('name', formats.headerName) ?? '';
  const kind = header.exactlyOne(['value', 'pattern']);
  const text = kind && header.read(kind, kind === 'value' ? formats.headerValue : formats.pattern);
  header.end();
  return kind && text !== undefined ? { name, [kind]: text } : undefined;
}

function readTargets(section: Section): Target[] {
  const kind = section.exactlyOne(['agentId', 'workflowId', 'targets']);
  if (kind === undefined) return [];
  if (kind !== 'targets') return targetOf(section, kind);
  const list = section.read('targets', formats.anyList) ?? [];
  if (list.length === 0 || list.length > MAX_TARGETS) {
    section.fault('targets', 'wrong number of targets', { value: `${list.length}`, allowed: `1 to ${MAX_TARGETS}` });
  }
  return list.slice(0, MAX_TARGETS).flatMap((entry, index) => readTarget(section, entry, index));
}

function readTarget(section: Section, entry: unknown, index: number): Target[] {
  const target = Section.of(`${section.path}.targets[${index}]`, entry, section.faults);
  if (!target) return [];
  const kind = target.exactlyOne(['agentId', 'workflowId']);
  const read = kind ? targetOf(target, kind) : [];
  const weight = target.read('weight', formats.wholeNumber(0, 1000));
  target.end();
  return read.map((entry) => ({ ...entry, ...present({ weight }) }));
}

function targetOf(section: Section, kind: 'agentId' | 'workflowId'): Target[] {
  const id = section.read(kind, formats.pranthoraId);
  if (id === undefined) return [];
  return [kind === 'agentId' ? { agentId: id } : { workflowId: id }];
}

function readProtocol(section: Section): Pick<Route, 'mode' | 'encoding'> {
  const mode = section.read('mode', formats.oneOf('websocket', 'handshake', 'telephony')) ?? 'websocket';
  const encoding = section.read('encoding', formats.oneOf('mulaw', 'alaw')) ?? 'mulaw';
  if (encoding === 'alaw' && mode !== 'telephony') {
    section.fault('encoding', `mode ${mode} has no encoding`, {
      value: showValue(encoding),
      allowed: 'mode: telephony',
    });
  }
  return { mode, encoding };
}

function readApiKey(section: Section, defaults: RouteDefaults): string {
  if (!section.has('apiKeyEnv')) return defaults.apiKey;
  // A name in lower case may be a key that was put where its variable's name belongs.
  const raw = section.raw('apiKeyEnv');
  const secret = typeof raw !== 'string' || !/^[A-Z][A-Z0-9_]*$/.test(raw);
  const variable = section.read('apiKeyEnv', formats.environmentName, { secret });
  if (variable === undefined) return '';
  const value = secret ? REDACTED : showValue(variable);
  const text = defaults.environment[variable] ?? '';
  if (text.trim() === '' && defaults.withoutKeys) return '';
  const key = formats.apiKey.parse(text);
  if (text.trim() === '') section.fault('apiKeyEnv', 'names an environment variable that is not set', { value });
  else if (key === undefined) {
    const message = `names an environment variable that does not hold ${formats.apiKey.what}`;
    section.fault('apiKeyEnv', message, { value, allowed: formats.apiKey.allowed });
  }
  return key ?? '';
}

function readFallback(section: Section): Fallback | undefined {
  const fallback = section.child('fallback');
  if (!fallback) return undefined;
  const kind = fallback.exactlyOne(['redirect', 'reject']);
  const redirect = fallback.read('redirect', formats.sipUri);
  const reject = fallback.read('reject', formats.wholeNumber(400, 699));
  fallback.end();
  if (kind === 'redirect' && redirect !== undefined) return { redirect };
  return kind === 'reject' && reject !== undefined ? { reject } : undefined;
}

/** What each digit does. Digits that do nothing are not there. */
function readDtmf(section: Section): Readonly<Record<string, CallAction>> | undefined {
  const map = section.child('dtmf');
  if (!map) return undefined;
  const actions: Record<string, CallAction> = {};
  for (const key of map.keys()) {
    const digit = key.toUpperCase();
    if (!/^[0-9*#A-D]$/.test(digit)) {
      map.fault(showKey(key), 'no such digit', { allowed: '0 to 9, *, #, A to D' });
    } else if (Object.hasOwn(actions, digit)) {
      map.fault(key, `already given as ${digit === key ? key.toLowerCase() : digit}`);
    } else {
      const action = readAction(map, key);
      if (action !== undefined) actions[digit] = action;
    }
  }
  return actions;
}

function readAction(section: Section, key: string): CallAction | undefined {
  const raw = section.raw(key);
  if (raw === undefined || raw === 'hangup') return raw;
  if (typeof raw === 'string') {
    section.fault(key, 'no such action', { value: showValue(raw), allowed: 'hangup, or refer: URI' });
    return undefined;
  }
  const action = section.child(key);
  if (action && !action.has('refer')) action.fault('refer', 'required', { allowed: formats.sipUri.allowed });
  const refer = action?.read('refer', formats.sipUri);
  action?.end();
  return refer === undefined ? undefined : { refer };
}
