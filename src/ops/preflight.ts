import { createSocket } from 'node:dgram';
import { createServer, isIPv6 } from 'node:net';
import type { BridgeConfig } from '../config/types.js';
import { parseListen } from '../config/formats.js';
import { tooFewDescriptors } from '../config/descriptors.js';
import { bindFault } from './bind-fault.js';

/** One line of `doctor`: what was looked at and what was found. */
export interface Finding {
  readonly what: string;
  /** `note`: right in some places and wrong in others. */
  readonly level: 'ok' | 'note' | 'FAIL';
  readonly detail: string;
}

/** RTP ports tried out of the whole range: enough to see a foreign service or a missing right, quick to do. */
const RTP_PORTS_TRIED = 20;

/** Whether this machine lets the bridge have the ports it is configured for. */
export async function checkPorts(config: BridgeConfig): Promise<Finding[]> {
  const findings: Finding[] = [];
  for (const uri of config.sip.listen) findings.push(await checkListen(uri));
  findings.push(await checkRtpPorts(config));
  const { host, port } = config.http;
  findings.push(finding(`http ${host}:${port}`, await bindTcp(host, port), 'free'));
  return findings;
}

/** Whether this process may open as many sockets as its calls need. */
export function checkDescriptors({ call }: BridgeConfig): Finding {
  return finding('file descriptors', tooFewDescriptors(call.maxConcurrent), `enough for ${call.maxConcurrent} calls`);
}

async function checkListen(uri: string): Promise<Finding> {
  const listen = parseListen(uri);
  if (!listen) return { what: uri, level: 'FAIL', detail: 'not an address to listen on' };
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
  return { what, level: fault === undefined ? 'ok' : 'FAIL', detail: fault ?? fine };
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
      socket.close(() => resolve(undefined));
    });
  });
}

function bindTcp(host: string, port: number): Promise<string | undefined> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', (error) => resolve(bindFault(error)));
    server.listen({ host, port }, () => {
      server.close(() => resolve(undefined));
    });
  });
}
