import type { BridgeStats, PathStats, TransportAddress } from '../bridge/stats.js';
import { cidrMatcher } from '../addresses/cidr.js';

/** RTP that is absent for longer has stopped: phones with voice activity detection send comfort noise now and then. */
const STOPPED_MS = 5_000;
/** A shorter hold is not mentioned. */
const HOLD_MS = 500;
/** The share of the packets sent that counts as all of them: the first and last ones may differ. */
const ALMOST_ALL = 0.9;
/** Fewer packets than this make no meaningful share. */
const ENOUGH_PACKETS = 50;

const isPrivate = cidrMatcher([
  ...['10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', '100.64.0.0/10', '169.254.0.0/16', '127.0.0.0/8'],
  ...['fc00::/7', 'fe80::/10', '::1'],
]);

/**
 * The verdict on a call's audio, for the operator who has to find out why one side heard nothing: "two-way audio", or exactly
 * what was missing. It is made from the figures alone; undefined for a call that was never answered.
 * `sipSource` is the address the caller's signalling came from.
 */
export function verdictOf(stats: BridgeStats, sipSource?: string): string | undefined {
  const { path } = stats;
  if (!path || path.activeMs === 0) return undefined;
  const missing = [missingFromCaller(stats, path, sipSource), ...missingToCaller(stats, path)].filter(isSaid);
  const remarks = [otherSource(stats, path), hold(path), refusedSource(stats, path), overflow(stats)].filter(isSaid);
  return [...(missing.length === 0 ? ['two-way audio'] : missing), ...remarks].join('; ');
}

function missingFromCaller(stats: BridgeStats, path: PathStats, sipSource: string | undefined): string | undefined {
  if (path.receivingMs === 0) return 'nothing from the caller: its SDP had the call on hold throughout';
  const heard = stats.uplink.packets - path.foreignPayloads;
  if (heard <= 0) return `no RTP from the caller: ${whyNothingCame(stats, path, sipSource)}`;
  const { silentMs = 0 } = path;
  return silentMs > STOPPED_MS ? `no RTP from the caller for the last ${seconds(silentMs)}` : undefined;
}

function whyNothingCame({ uplink, remote }: BridgeStats, path: PathStats, sipSource: string | undefined): string {
  const { refused } = path;
  const payloadType = refused?.payloadType ?? path.foreignPayloadType;
  const source = refused?.source ?? remote;
  if (source && payloadType !== undefined) {
    return `RTP from ${hostPort(source)} in payload type ${payloadType}, which was not agreed on, refused`;
  }
  if (source && refused) return `RTP from another address than the SDP's, ${hostPort(source)}, refused`;
  if (uplink.malformed > 0) return `what came was no RTP (${uplink.malformed} datagrams)`;
  return `${describe(path.described, sipSource)}, nothing arrived in ${seconds(path.receivingMs)}`;
}

function describe(described: TransportAddress | undefined, sipSource: string | undefined): string {
  if (!described) return 'the SDP gave no address';
  const isFarther = sipSource !== undefined && !isPrivate(sipSource);
  const scope = isPrivate(described.address) ? ', private' : '';
  return `the SDP said ${hostPort(described)}${scope}${scope && isFarther ? ` while its SIP came from ${sipSource}` : ''}`;
}

function missingToCaller(stats: BridgeStats, path: PathStats): (string | undefined)[] {
  const { downlink } = stats;
  const neverSpoke = downlink.receivedMs === 0 ? 'agent never spoke' : undefined;
  const why = whyCallerNeverHeard(stats, path);
  return [neverSpoke, why === undefined ? undefined : `caller never heard: ${why}`];
}

function whyCallerNeverHeard({ downlink, remote }: BridgeStats, path: PathStats): string | undefined {
  const { packets, sendErrors, receivedMs, playedMs, discardedMs } = downlink;
  const { reported } = path.rtcp;
  const target = remote ?? path.described;
  const where = target ? ` to ${hostPort(target)}` : '';
  if (path.sendingMs === 0) return 'its SDP had us on hold throughout';
  if (packets === 0 && path.unaddressed > 0) return 'its SDP gave no address to send to, and no RTP came to show one';
  if (packets > 0 && sendErrors >= ALMOST_ALL * packets) {
    return `RTP could not be sent${where} (${path.sendError ?? 'unknown error'})`;
  }
  if (packets >= ENOUGH_PACKETS && reported && reported.lost >= ALMOST_ALL * packets) {
    return `its RTCP reports that the RTP sent${where} did not arrive`;
  }
  if (receivedMs === 0 || playedMs > 0) return undefined;
  return discardedMs > 0 ? 'all the agent said was interrupted' : 'the agent spoke, but none of it has been played';
}

function otherSource({ remote }: BridgeStats, { described }: PathStats): string | undefined {
  if (!remote || !described || isSame(remote, described)) return undefined;
  return `the caller's RTP came from ${hostPort(remote)}, not from ${hostPort(described)} as its SDP said`;
}

/** A hold that lasted throughout is in the verdict already. */
function hold({ activeMs, sendingMs, receivingMs }: PathStats): string | undefined {
  if (sendingMs === 0 || receivingMs === 0) return undefined;
  const heldMs = activeMs - Math.min(sendingMs, receivingMs);
  return heldMs > HOLD_MS ? `on hold for ${seconds(heldMs)}` : undefined;
}

function refusedSource({ remote }: BridgeStats, { refused }: PathStats): string | undefined {
  if (!remote || !refused || isSame(remote, refused.source)) return undefined;
  return `RTP from another address, ${hostPort(refused.source)}, refused`;
}

function overflow({ downlink }: BridgeStats): string | undefined {
  if (downlink.overflowedMs === 0) return undefined;
  return `${seconds(downlink.overflowedMs)} of the agent's speech found no room in the queue`;
}

const isSaid = (text: string | undefined): text is string => text !== undefined;

/** An IPv4 address as a socket for both versions reports it is the IPv4 address. */
const plain = (address: string): string => address.replace(/^::ffff:(?=\d+\.)/, '');

function isSame(a: TransportAddress, b: TransportAddress): boolean {
  return a.port === b.port && plain(a.address) === plain(b.address);
}

function hostPort({ address, port }: TransportAddress): string {
  const host = plain(address);
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

function seconds(ms: number): string {
  return `${ms < 10_000 ? Math.round(ms / 100) / 10 : Math.round(ms / 1_000)} s`;
}
