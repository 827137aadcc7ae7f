import { cidrMatcher } from '../../addresses/cidr.js';
import type { FaultList } from '../faults.js';
import { cidr, listOf, type Format } from '../formats.js';
import { Section } from '../section.js';
import type { Advertise, AdvertiseRule } from '../types.js';

/**
 * The rules of `sip.advertise` or `media.advertise` checked, each fault with its path; a single address stays what it is.
 * `format` is what an address has to be.
 */
export function readAdvertise(
  path: string,
  value: string | readonly unknown[] | undefined,
  format: Format<string>,
  faults: FaultList,
): Advertise | undefined {
  if (value === undefined || typeof value === 'string') return value;
  if (value.length === 0) faults.add({ path, message: 'expected at least one rule', allowed: format.allowed });
  return value.flatMap((entry, index) => {
    const isLast = index === value.length - 1;
    return readRule(`${path}[${index}]`, entry, { format, isLast, faults }) ?? [];
  });
}

function readRule(
  path: string,
  entry: unknown,
  { format, isLast, faults }: { format: Format<string>; isLast: boolean; faults: FaultList },
): AdvertiseRule | undefined {
  const section = Section.of(path, entry, faults);
  if (!section) return undefined;
  if (!section.has('address')) section.fault('address', 'required', { allowed: format.allowed });
  if (!section.has('peers') && !isLast) {
    section.fault('peers', 'required in every rule but the last: those after it would never be reached');
  }
  const address = section.read('address', format);
  const peers = section.read('peers', listOf(cidr));
  section.end();
  return address === undefined ? undefined : { ...(peers ? { peers } : {}), address };
}

/** The address to tell a peer: that of the first rule for it. Undefined where there is none, and ours is told as it is. */
export function advertisedTo(advertise: Advertise | undefined): (peerAddress: string) => string | undefined {
  if (advertise === undefined || typeof advertise === 'string') return () => advertise;
  const rules = advertise.map(({ peers, address }) => ({ isFor: peers ? cidrMatcher(peers) : () => true, address }));
  return (peerAddress) => rules.find(({ isFor }) => isFor(peerAddress))?.address;
}

/** Every address that is advertised to somebody, with its path. */
export function advertisedAddresses(
  path: string,
  advertise: Advertise | undefined,
): (AdvertiseRule & { path: string })[] {
  if (advertise === undefined) return [];
  if (typeof advertise === 'string') return [{ path, address: advertise }];
  return advertise.map((rule, index) => ({ ...rule, path: `${path}[${index}].address` }));
}
