import { cidrMatcher } from '../addresses/cidr.js';
import type { FaultList } from './faults.js';
import { showValue } from './faults.js';
import { cidr, listOf, numberPlaces } from './formats.js';
import { Section } from './section.js';
import type { DidFrom, DidFromRule, NumberPlace } from './types.js';

const DEFAULT: readonly NumberPlace[] = ['requestUri'];

/** `sip.didFrom` checked, each fault with its path. */
export function readDidFrom(value: readonly unknown[], faults: FaultList): DidFrom {
  const path = 'sip.didFrom';
  const hasRules = value.some((entry) => typeof entry === 'object');
  if (hasRules) {
    return value.flatMap((entry, index) => {
      return readRule(`${path}[${index}]`, entry, { isLast: index === value.length - 1, faults }) ?? [];
    });
  }
  const places = numberPlaces.parse(value);
  if (!places) {
    const message = `expected ${numberPlaces.what}`;
    faults.add({ path, message, value: showValue(value), allowed: numberPlaces.allowed });
  }
  return places ?? DEFAULT;
}

function readRule(
  path: string,
  entry: unknown,
  { isLast, faults }: { isLast: boolean; faults: FaultList },
): DidFromRule | undefined {
  const section = Section.of(path, entry, faults);
  if (!section) return undefined;
  if (!section.has('from')) section.fault('from', 'required', { allowed: numberPlaces.allowed });
  if (!section.has('peers') && !isLast) {
    section.fault('peers', 'required in every rule but the last: those after it would never be reached');
  }
  const from = section.read('from', numberPlaces);
  const peers = section.read('peers', listOf(cidr));
  section.end();
  return from === undefined ? undefined : { ...(peers ? { peers } : {}), from };
}

/** Where to look for the number a peer calls, in order: by the first rule for it, else in the Request-URI. */
export function placesFor(didFrom: DidFrom): (peerAddress: string) => readonly NumberPlace[] {
  if (!isRules(didFrom)) return () => didFrom;
  const rules = didFrom.map(({ peers, from }) => ({ isFor: peers ? cidrMatcher(peers) : () => true, from }));
  return (peerAddress) => rules.find(({ isFor }) => isFor(peerAddress))?.from ?? DEFAULT;
}

function isRules(didFrom: DidFrom): didFrom is readonly DidFromRule[] {
  return didFrom.some((entry) => typeof entry === 'object');
}
