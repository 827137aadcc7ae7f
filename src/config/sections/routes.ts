import { hasOwnKey, type KeySources } from './api-key.js';
import { isMapping } from '../document.js';
import { showKey, showValue } from '../faults.js';
import type { FaultList } from '../faults.js';
import * as formats from '../formats.js';
import { normaliseNumber } from '../../addresses/number.js';
import { present } from '../present.js';
import { distinct } from './route-set.js';
import type { UnnamedRoute } from './route-set.js';
import { Section } from '../section.js';
import { readTargets } from '../targets.js';
import type { CallAction, Fallback, HeaderMatch, Route, RouteMatch } from '../types.js';

/** What a route falls back on where it says nothing of its own. */
export interface RouteDefaults {
  readonly apiKeys: readonly string[];
  readonly url: string;
  readonly keySources: KeySources;
}

const MATCHERS = ['did', 'prefix', 'pattern', 'default'] as const;

/** Whether some target has no key of its own, nor one of its route's. */
export function needsSharedKey(list: readonly unknown[]): boolean {
  return list.length === 0 || list.some(isWithoutKey);
}

function isWithoutKey(entry: unknown): boolean {
  if (!isMapping(entry)) return true;
  const { targets } = entry;
  return !hasOwnKey(entry) && (!Array.isArray(targets) || needsSharedKey(targets));
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
    targets: readTargets(section, defaults),
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
