import { lookup } from 'node:dns/promises';
import { isIP } from 'node:net';
import { networkInterfaces } from 'node:os';
import { advertisedAddresses } from '../config/sections/advertise.js';
import { cidrMatcher } from '../addresses/cidr.js';
import { parseListen } from '../config/formats.js';
import type { Advertise, BridgeConfig } from '../config/types.js';
import type { Finding } from './preflight.js';

const WILDCARDS = ['0.0.0.0', '::'];
const isLoopback = cidrMatcher(['127.0.0.0/8', '::1/128']);
const isPrivate = cidrMatcher(['10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', '100.64.0.0/10', 'fc00::/7']);

/** Resolves to the addresses of a name; rejects when it has none. */
export type Resolve = (name: string) => Promise<readonly string[]>;

const systemResolve: Resolve = async (name) => (await lookup(name, { all: true })).map(({ address }) => address);

/** Whether the addresses that are advertised can be reached by those who are told them, and what the others are told. */
export async function checkTold(
  config: BridgeConfig,
  { resolve = systemResolve, own = ownAddresses() }: { resolve?: Resolve; own?: readonly string[] } = {},
): Promise<Finding[]> {
  const { sip, media } = config;
  const listeners = sip.listen.map((uri) => parseListen(uri)?.address ?? '');
  const isLocalOnly = listeners.length > 0 && listeners.every(isLoopback);
  const advertised = [
    ...advertisedAddresses('sip.advertise', sip.advertise),
    ...advertisedAddresses('media.advertise', media.advertise),
  ];
  const findings: Finding[] = [];
  for (const { path, address, peers } of advertised) {
    const peersAreHere = peers?.every((range) => isLoopback(range.replace(/\/.*$/, ''))) ?? isLocalOnly;
    findings.push({ what: path, ...(await judge(address, { peersAreHere, isLocalOnly, resolve, own })) });
  }
  if (!isForAll(sip.advertise)) findings.push({ what: 'callers are told, for SIP', ...told(listeners, own) });
  // What is advertised for SIP holds for media as well.
  if (!isForAll(media.advertise) && !isForAll(sip.advertise)) {
    findings.push({ what: 'callers are told, for RTP', ...told([media.bind], own) });
  }
  return findings;
}

type Judgement = Pick<Finding, 'level' | 'detail'>;

interface Surroundings {
  readonly peersAreHere: boolean;
  /** `sip.listen` takes calls from this machine alone. */
  readonly isLocalOnly: boolean;
  readonly resolve: Resolve;
  readonly own: readonly string[];
}

async function judge(address: string, { peersAreHere, isLocalOnly, resolve, own }: Surroundings): Promise<Judgement> {
  const fail = (detail: string): Judgement => ({ level: 'FAIL', detail });
  if (WILDCARDS.includes(address)) return fail(`${address} is not an address a peer can send to`);
  let resolved: readonly string[] = [address];
  if (isIP(address) === 0) {
    try {
      resolved = await resolve(address);
    } catch (error) {
      return fail(`${address} has no address here: ${(error as Error).message}`);
    }
  }
  const shown = resolved[0] === address ? address : `${address} is ${resolved.join(', ')}`;
  if (resolved.every(isLoopback)) {
    if (peersAreHere) return { level: 'ok', detail: shown };
    return fail(`${shown} can only be reached from this machine, but sip.listen takes calls from others`);
  }
  if (isLocalOnly) return fail(`${shown}, but sip.listen takes calls from this machine alone`);
  if (resolved.some((each) => own.includes(each))) return { level: 'ok', detail: shown };
  return { level: 'note', detail: `${shown}, no address of this machine: right if a NAT forwards its ports to here` };
}

/** What callers are told where nothing is advertised: the address they reach us at. */
function told(bound: readonly string[], own: readonly string[]): Judgement {
  const isAnywhere = bound.some((address) => WILDCARDS.includes(address));
  const addresses = isAnywhere ? own.filter((address) => !isLoopback(address)) : [...new Set(bound)];
  if (addresses.length === 0) return { level: 'note', detail: 'this machine has no address but loopback' };
  const list = addresses.join(', ');
  const which = isAnywhere && addresses.length > 1 ? `the one they reach us at of ${list}` : list;
  if (!addresses.every(isPrivate)) return { level: 'ok', detail: which };
  return {
    level: 'note',
    detail: `${which}, private: callers from outside need sip.advertise, the public address`,
  };
}

/** Whether everybody is told something else than our own address. */
function isForAll(advertise: Advertise | undefined): boolean {
  if (advertise === undefined) return false;
  return typeof advertise === 'string' || advertise.some(({ peers }) => peers === undefined);
}

function ownAddresses(): string[] {
  return Object.values(networkInterfaces()).flatMap((each) => (each ?? []).map(({ address }) => address));
}
