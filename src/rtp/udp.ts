import { createSocket, type Socket, type SocketOptions } from 'node:dgram';
import { isIP, isIPv6, SocketAddress } from 'node:net';
import type { TransportAddress } from './source-latch.js';

/** Room for a few seconds of packets while the event loop is held up. The system may grant less. */
const RECEIVE_BUFFER_BYTES = 256 * 1024;

export function familyOf(address: string): 4 | 6 {
  return isIPv6(address) ? 6 : 4;
}

/** Addresses are IP literals, so there is nothing to look up: answering at once sends in the same turn. */
const lookup: NonNullable<SocketOptions['lookup']> = (address, _options, callback) =>
  callback(null, address, familyOf(address));

/** For RTP, and on the next port for RTCP. */
export type SocketPair = readonly [Socket, Socket];

/** Sockets bound to a port and the one after it: both, or none, and then it rejects with the system's error. */
export function bindPair(address: string, port: number): Promise<SocketPair> {
  return new Promise((resolve, reject) => {
    const sockets = [newSocket(address), newSocket(address)] as const;
    let bound = 0;
    const onError = (error: Error): void => {
      // The other one may fail as well, and nobody needs to know.
      for (const socket of sockets) socket.on('error', () => undefined).close();
      reject(error);
    };
    for (const [offset, socket] of sockets.entries()) {
      socket.once('error', onError);
      socket.bind({ address, port: port + offset, exclusive: true }, () => {
        socket.off('error', onError);
        growReceiveBuffer(socket);
        bound += 1;
        if (bound === sockets.length) resolve(sockets);
      });
    }
  });
}

function newSocket(address: string): Socket {
  return createSocket({ type: familyOf(address) === 6 ? 'udp6' : 'udp4', lookup });
}

function growReceiveBuffer(socket: Socket): void {
  try {
    if (socket.getRecvBufferSize() < RECEIVE_BUFFER_BYTES) socket.setRecvBufferSize(RECEIVE_BUFFER_BYTES);
  } catch {
    // The system's own size has to do.
  }
}

export function isAddressInUse(error: unknown): boolean {
  return (error as NodeJS.ErrnoException).code === 'EADDRINUSE';
}

/** Nobody listens where a connected socket sends to. */
export function isRefusal(error: Error): boolean {
  return (error as NodeJS.ErrnoException).code === 'ECONNREFUSED';
}

/** Stands in an SDP for a port that is not known yet (RFC 8829 section 5.2.1). */
const DISCARD_PORT = 9;

const UNSPECIFIED = new Set(['0.0.0.0', '::', '::ffff:0.0.0.0']);

/** Whether an address stands for all of a host's own. */
export function isUnspecified(address: string): boolean {
  return UNSPECIFIED.has(canonical(address));
}

/** The address in the spelling the socket reports sources in, or undefined if nothing can be sent to it. */
export function sendable({ address, port }: TransportAddress, family: 4 | 6): TransportAddress | undefined {
  const version = isIP(address);
  if (version === 0 || (family === 4 && version === 6)) return undefined;
  if (!Number.isInteger(port) || port < 1 || port > 65_535 || port === DISCARD_PORT) return undefined;
  const spelled = canonical(address);
  if (UNSPECIFIED.has(spelled)) return undefined;
  return { address: family === 6 && version === 4 ? `::ffff:${address}` : spelled, port };
}

/** RFC 5952 spelling; an address with a zone stays as it is. */
function canonical(address: string): string {
  if (!isIPv6(address) || address.includes('%')) return address;
  return new SocketAddress({ address, family: 'ipv6' }).address;
}
