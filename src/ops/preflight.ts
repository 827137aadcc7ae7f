import { createSocket } from 'node:dgram';
import { createServer, isIP, isIPv6 } from 'node:net';
import type { BridgeConfig } from '../config/types.js';
import { parseListen } from '../config/formats.js';
import { advertisedAddresses } from '../config/advertise.js';
import { bindFault } from './bind-fault.js';
import { cidrMatcher } from '../config/cidr.js';

/** One line of `doctor`: what was looked at and what was found. */
export interface Finding {
  readonly what: string;
  readonly ok: boolean;
  readonly detail: string;
}

/** RTP ports tried out of the whole range: enough to see a foreign service or a missing right, quick to do. */
const RTP_PORTS_TRIED = 20;

const NOT_AN_ADDRESS_TO_REACH = ['0.0.0.0', '::'];
const isLoopback = cidrMatcher(['127.0.0.0/8', '::1/128']);

/** Whether this machine lets the bridge have the ports it is configured for. */
export async function checkPorts(config: BridgeConfig): Promise<Finding[]> {
  const findings: Finding[] = [];
  for (const uri of config.sip.listen) findings.push(await checkListen(uri));
  findings.push(await checkRtpPorts(config));
  const { host, port } = config.http;
  findings.push(finding(`http ${host}:${port}`, await bindTcp(host, port), 'free'));
  return findings;
}

/** Whether the addresses told to peers can be reached by them. */
export function checkAdvertised(config: BridgeConfig): Finding[] {
  const { sip, media } = config;
  const loopbackOnly = sip.listen.every((uri) => isLoopback(parseListen(uri)?.address ?? ''));
  return [
    ...advertisedAddresses('sip.advertise', sip.advertise),
    ...advertisedAddresses('media.advertise', media.advertise),
  ].map(({ path, address, peers }) => {
    const peersAreHere = peers?.every((range) => isLoopback(range.replace(/\/.*$/, ''))) ?? loopbackOnly;
    return finding(path, whyUnreachable(address, peersAreHere), address);
  });
}

function whyUnreachable(address: string, peersAreHere: boolean): string | undefined {
  if (NOT_AN_ADDRESS_TO_REACH.includes(address)) return `${address} is not an address a peer can send to`;
  if (isIP(address) !== 0 && isLoopback(address) && !peersAreHere) {
    return `${address} can only be reached from this machine, but sip.listen takes calls from others`;
  }
  return undefined;
}

async function checkListen(uri: string): Promise<Finding> {
  const listen = parseListen(uri);
  if (!listen) return { what: uri, ok: false, detail: 'not an address to listen on' };
  const { transport, address, port } = listen;
  return finding(uri, await (transport === 'udp' ? bindUdp(address, port) : bindTcp(address, port)), 'free');
}

async function checkRtpPorts({ media }: BridgeConfig): Promise<Finding> {
  const { min, max } = media.ports;
  const first = min + (min % 2);
  const count = Math.floor((max + 1 - first) / 2);
  const step = Math.max(1, Math.floor(count / RTP_PORTS_TRIED));
  const taken: string[] = [];
  for (let index = 0; index < count; index += step) {
    // RTP, and RTCP on the port after it.
    for (const port of [first + 2 * index, first + 2 * index + 1]) {
      const fault = await bindUdp(media.bind, port);
      if (fault !== undefined) taken.push(`${port}: ${fault}`);
    }
  }
  const what = `rtp ${media.bind} ports ${min}-${max}`;
  return finding(what, taken.length > 0 ? taken.join('; ') : undefined, `room for ${count} calls`);
}

function finding(what: string, fault: string | undefined, fine: string): Finding {
  return { what, ok: fault === undefined, detail: fault ?? fine };
}

/** Undefined when the port could be had; it has been given back. */
function bindUdp(host: string, port: number): Promise<string | undefined> {
  return new Promise((resolve) => {
    const socket = createSocket(isIPv6(host) ? 'udp6' : 'udp4');
    socket.once('error', (error) => {
      socket.close();
      resolve(bindFault(error));
    });
    socket.bind({ address: host, port, exclusive: true }, () => {
      socket.close(() => {
        resolve(undefined);
      });
    });
  });
}

function bindTcp(host: string, port: number): Promise<string | undefined> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', (error) => {
      resolve(bindFault(error));
    });
    server.listen({ host, port }, () => {
      server.close(() => {
        resolve(undefined);
      });
    });
  });
}
