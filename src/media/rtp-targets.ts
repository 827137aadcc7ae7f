import { isIP } from 'node:net';
import { networkInterfaces } from 'node:os';
import ipaddr from 'ipaddr.js';
import type { TransportAddress } from '../bridge/messages.js';
import { SdpError, type NegotiatedStream } from './sdp.js';

/** Below it are the ports of other services; RTP's are above it (RFC 8866 section 5.14). */
const FIRST_RTP_PORT = 1_024;

/** Says that the port is not known yet (RFC 8829 section 5.2.1): nothing is sent to it. */
const DISCARD_PORT = 9;

/** Where something of ours listens. */
export interface OwnPorts {
  /** What the log and the caller are told. */
  readonly what: string;
  /** IP literal; 0.0.0.0 and :: are all of this machine's. */
  readonly bind: string;
  /** By which others reach it. */
  readonly advertised: readonly string[];
  readonly min: number;
  readonly max: number;
}

/** An address of an interface, with its network, such as `192.0.2.7/24`. */
export interface InterfaceAddress {
  readonly address: string;
  readonly cidr: string | null;
}

export interface RtpTargetsOptions {
  readonly own: readonly OwnPorts[];
  /** This machine's; they may change. */
  readonly interfaces?: () => readonly InterfaceAddress[];
}

/**
 * Which addresses an SDP may name for its RTP. Whoever may place a call chooses where a stream of packets goes to: never
 * to a group, never to the bridge itself, and to this machine or its link only for who is there.
 */
export class RtpTargets {
  readonly #own: readonly OwnPorts[];
  readonly #interfaces: () => readonly InterfaceAddress[];

  constructor({ own, interfaces = systemInterfaces }: RtpTargetsOptions) {
    this.#own = own;
    this.#interfaces = interfaces;
  }

  /** Throws SdpError where the stream, or its RTCP, is wanted at an address that gets none. */
  check({ remote, rtcp }: Pick<NegotiatedStream, 'remote' | 'rtcp'>, peerAddress: string): void {
    if (remote) this.#check('RTP', remote, peerAddress);
    if (rtcp && rtcp !== 'mux') this.#check('RTCP', rtcp, peerAddress);
  }

  #check(what: string, target: TransportAddress, peerAddress: string): void {
    const fault = this.#faultOf(target, peerAddress);
    if (fault !== undefined) throw new SdpError(`no ${what} to ${target.address} port ${target.port}: ${fault}`);
  }

  #faultOf({ address, port }: TransportAddress, peerAddress: string): string | undefined {
    const target = parse(address);
    if (!target) return 'not an IP address';
    const group = groupOf(target);
    if (group !== undefined) return group;
    if (port < FIRST_RTP_PORT && port !== DISCARD_PORT) return `ports below ${FIRST_RTP_PORT} are not for RTP`;
    const interfaces = this.#interfaces();
    if (isBroadcast(target, interfaces)) return 'it is a broadcast address';
    const peer = parse(peerAddress);
    if (isLoopback(target) && !(peer && isHere(peer, interfaces)))
      return 'a loopback address, and the caller is elsewhere';
    if (target.range() === 'linkLocal' && !(peer && (peer.range() === 'linkLocal' || isHere(peer, interfaces)))) {
      return 'a link-local address, and the caller is elsewhere';
    }
    const own = this.#own.find((each) => port >= each.min && port <= each.max && isReachedBy(each, target, interfaces));
    return own && `that is this bridge itself (${own.what})`;
  }
}

type Address = ipaddr.IPv4 | ipaddr.IPv6;

/** An IPv4 address inside an IPv6 one (mapped, RFC 4291 2.5.5; translated, RFC 6052) is what packets end up at. */
function parse(text: string): Address | undefined {
  const bare = text.replace(/%.*$/, '');
  if (isIP(bare) === 0) return undefined;
  const address = ipaddr.process(bare);
  if (address.kind() === 'ipv4') return address;
  const bytes = address.toByteArray();
  const embedded = address.range() === 'rfc6052' || (bytes.slice(0, 12).every((byte) => byte === 0) && bytes[12] !== 0);
  return embedded ? new ipaddr.IPv4(bytes.slice(12)) : address;
}

function groupOf(address: Address): string | undefined {
  const first = address.toByteArray()[0] ?? 0;
  const isIpv4 = address.kind() === 'ipv4';
  if (address.range() === 'multicast') return 'it is a multicast address';
  if (address.range() === 'unspecified' || (isIpv4 && first === 0)) return "it is no host's address (RFC 1122 3.2.1.3)";
  if (address.range() === 'broadcast') return 'it is a broadcast address';
  if (isIpv4 && first >= 240) return 'it is in a reserved network (RFC 1112 4)';
  return undefined;
}

const isLoopback = (address: Address): boolean => address.range() === 'loopback';

/** Of an IPv4 network this machine is in: its last address (RFC 919). */
function isBroadcast(address: Address, interfaces: readonly InterfaceAddress[]): boolean {
  if (address.kind() !== 'ipv4') return false;
  return interfaces.some(({ cidr }) => {
    if (cidr === null || isIP(cidr.replace(/\/.*$/, '')) !== 4 || Number(cidr.replace(/^.*\//, '')) > 30) return false;
    return ipaddr.IPv4.broadcastAddressFromCIDR(cidr).toString() === address.toString();
  });
}

/** On this machine: there by loopback, or by an address of its own. */
function isHere(address: Address, interfaces: readonly InterfaceAddress[]): boolean {
  return isLoopback(address) || interfaces.some((each) => isSame(address, each.address));
}

function isReachedBy(
  { bind, advertised }: OwnPorts,
  target: Address,
  interfaces: readonly InterfaceAddress[],
): boolean {
  if (advertised.some((each) => isSame(target, each))) return true;
  return parse(bind)?.range() === 'unspecified' ? isHere(target, interfaces) : isSame(target, bind);
}

const isSame = (address: Address, text: string): boolean => parse(text)?.toString() === address.toString();

function systemInterfaces(): InterfaceAddress[] {
  return Object.values(networkInterfaces()).flatMap((addresses) => addresses ?? []);
}
