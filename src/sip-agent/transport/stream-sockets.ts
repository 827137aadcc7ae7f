import { connect, type Socket } from 'node:net';
import type { Endpoint } from './flow.js';

/** Where a connection of ours goes. */
export interface StreamDestination {
  readonly remote: Endpoint;
  /** The host of the URI it is for: what a certificate has to name. */
  readonly name: string;
  /** The address it leaves from; absent when the system chooses. */
  readonly localAddress: string | undefined;
}

/** How a stream transport comes by sockets that carry SIP: TCP's own, or those of TLS on top of them. */
export interface StreamSockets {
  readonly protocol: 'tcp' | 'tls';
  /** The event that tells that a socket of `connect` may be written to. */
  readonly openEvent: 'connect' | 'secureConnect';
  /** Accepted connections that do not carry SIP yet. */
  readonly pending: number;
  /** Those of one source. */
  pendingFrom(address: string): number;
  /** Prepares an accepted TCP connection. `ready` is called with what carries the SIP, unless nothing comes of it. */
  accept(socket: Socket, remote: Endpoint, ready: (socket: Socket) => void): void;
  /** Opens a connection; it is told by `openEvent`, 'error' and 'close' what becomes of it. */
  connect(destination: StreamDestination): Socket;
  /** Whether the other end of an open connection has shown that it is `name`. */
  isFor(socket: Socket, name: string): boolean;
  /** Whether the other end has shown by a certificate who it is. */
  isAuthenticated(socket: Socket): boolean;
  /** Gives up accepted connections that have taken too long. */
  closeOverdue(nowMs: number): void;
  close(): void;
}

/** Plain TCP: an accepted connection is ready at once, and nobody can show who he is. */
export const tcpSockets: StreamSockets = {
  protocol: 'tcp',
  openEvent: 'connect',
  pending: 0,
  pendingFrom: () => 0,
  accept: (socket, _, ready) => ready(socket),
  connect: ({ remote, localAddress }) =>
    connect({ host: remote.address, port: remote.port, ...(localAddress === undefined ? {} : { localAddress }) }),
  isFor: () => true,
  isAuthenticated: () => false,
  closeOverdue: () => undefined,
  close: () => undefined,
};
