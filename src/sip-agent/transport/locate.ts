import type { NaptrRecord, SrvRecord } from 'node:dns';
import { isIP } from 'node:net';
import { errorText } from '../environment.js';
import type { Endpoint, TransportProtocol } from './flow.js';
import type { NameService } from './name-cache.js';
import { DEFAULT_PORTS, type RequestTarget } from './target.js';

// Records of one answer beyond these are ignored.
const MAX_SERVICES = 4;
const MAX_SERVERS = 8;
const MAX_ADDRESSES = 4;

/** The next hop of a request: address, port and protocol. */
export interface Hop extends Endpoint {
  readonly protocol: TransportProtocol;
  /** The host of the URI: its server's certificate has to have this name (RFC 5922 section 4). */
  readonly name: string;
}

/** The host has no address. */
export class UnknownHostError extends Error {
  override readonly name = 'UnknownHostError';
}

export interface LocateOptions {
  readonly names: NameService;
  /** The protocols that can be used, in our order of preference; never empty. */
  readonly protocols: readonly TransportProtocol[];
  /** From 0 to less than 1. */
  readonly random: () => number;
}

/** A name to look up SRV records for. */
interface Service {
  readonly protocol: TransportProtocol;
  readonly srvName: string;
}

/**
 * Locates the servers of a target, best first (RFC 3263 section 4). Rejects with an UnknownHostError when none is found.
 */
export async function locate(target: RequestTarget, options: LocateOptions): Promise<Hop[]> {
  const { host, port, protocol = usualProtocol(options.protocols) } = target;
  if (isIP(host)) return [{ protocol, address: host, port: port ?? DEFAULT_PORTS[protocol], name: host }];
  const servers = port === undefined ? await serversOf(target, options) : undefined;
  if (servers) return servers;
  // Section 4.2: the URI has a port, or there are no SRV records.
  return addressesOf({ protocol, host, port: port ?? DEFAULT_PORTS[protocol] }, host, options.names);
}

/** Orders SRV records (RFC 2782): by priority, and at random by weight within one priority. */
export function orderServers(records: readonly SrvRecord[], random: () => number): SrvRecord[] {
  const left = records.filter(isSound).sort((a, b) => a.priority - b.priority || a.weight - b.weight);
  const ordered: SrvRecord[] = [];
  for (let [first] = left; first; [first] = left) {
    const { priority } = first;
    const rivals = left.filter((record) => record.priority === priority);
    const chosen = draw(rivals, random) ?? first;
    ordered.push(chosen);
    left.splice(left.indexOf(chosen), 1);
  }
  return ordered;
}

function draw(rivals: readonly SrvRecord[], random: () => number): SrvRecord | undefined {
  const total = rivals.reduce((sum, { weight }) => sum + weight, 0);
  let mark = Math.floor(random() * (total + 1));
  return rivals.find(({ weight }) => (mark -= weight) <= 0);
}

/** Section 4.1, when the URI names no transport: UDP, unless only TLS is available. */
function usualProtocol(protocols: readonly TransportProtocol[]): TransportProtocol {
  return protocols.find((protocol) => protocol !== 'tls') ?? 'tls';
}

/** The servers by NAPTR and SRV records; undefined when there are no SRV records. */
async function serversOf({ host, protocol }: RequestTarget, options: LocateOptions): Promise<Hop[] | undefined> {
  const { names, random } = options;
  const services = protocol ? [usualService(protocol, host)] : await servicesOf(host, options);
  const answers = await Promise.all(services.map(({ srvName }) => orNothing(names.srv(srvName))));
  if (answers.every((records) => records.length === 0)) return undefined;
  const servers = answers.flatMap((records, n) => {
    const ordered = orderServers(records, random);
    return ordered.map(({ name, port }) => ({ host: name, port, protocol: services[n]?.protocol ?? 'udp' }));
  });
  const hops = await Promise.all(
    servers.slice(0, MAX_SERVERS).map((server) => orNothing(addressesOf(server, host, names))),
  );
  const found = hops.flat();
  if (found.length === 0) throw new UnknownHostError(`no server of ${host} has an address`);
  return found;
}

/** Section 4.1: the services in a domain's NAPTR records, else the usual ones of our protocols. */
async function servicesOf(host: string, { names, protocols }: LocateOptions): Promise<Service[]> {
  const records = await orNothing(names.naptr(host));
  const named = [...records]
    .sort((a, b) => a.order - b.order || a.preference - b.preference)
    .map(serviceOf)
    .filter((service) => service !== undefined && protocols.includes(service.protocol));
  if (named.length > 0) return named.slice(0, MAX_SERVICES) as Service[];
  return protocols.map((protocol) => usualService(protocol, host));
}

const NAPTR_SERVICES: ReadonlyMap<string, TransportProtocol> = new Map([
  ['SIP+D2U', 'udp'],
  ['SIP+D2T', 'tcp'],
  ['SIPS+D2T', 'tls'],
]);

function serviceOf({ flags, service, replacement }: NaptrRecord): Service | undefined {
  const protocol = NAPTR_SERVICES.get(service.toUpperCase());
  const leadsToSrv = flags.toLowerCase() === 's' && isName(replacement);
  return protocol && leadsToSrv ? { protocol, srvName: replacement } : undefined;
}

function usualService(protocol: TransportProtocol, host: string): Service {
  const labels = { udp: '_sip._udp', tcp: '_sip._tcp', tls: '_sips._tcp' }[protocol];
  return { protocol, srvName: `${labels}.${host}` };
}

interface Server {
  readonly protocol: TransportProtocol;
  readonly host: string;
  readonly port: number;
}

async function addressesOf({ protocol, host, port }: Server, name: string, names: NameService): Promise<Hop[]> {
  const addresses = isIP(host) ? [host] : await orUnknown(host, names.addresses(host));
  const sound = addresses.filter((address) => isIP(address)).slice(0, MAX_ADDRESSES);
  if (sound.length === 0) throw new UnknownHostError(`${host} has no address`);
  return sound.map((address) => ({ protocol, address, port, name }));
}

async function orUnknown<T>(host: string, answer: Promise<T>): Promise<T> {
  try {
    return await answer;
  } catch (error) {
    throw new UnknownHostError(`${host}: ${errorText(error)}`, { cause: error });
  }
}

/** A missing record and a failed lookup are the same here: the next kind of record is tried. */
async function orNothing<T>(answer: Promise<readonly T[]>): Promise<readonly T[]> {
  try {
    return await answer;
  } catch {
    return [];
  }
}

/** A target of "." means that there is no such service (RFC 2782); port 0 is not usable. */
function isSound({ name, port }: SrvRecord): boolean {
  return isName(name) && Number.isInteger(port) && port > 0 && port <= 65_535;
}

function isName(text: string): boolean {
  return /^[\w-][\w.-]{0,252}$/.test(text);
}
