import { connect, type Socket } from 'node:net';
import type { Endpoint } from './flow.js';

/** The destination of an outgoing connection. */
export interface StreamDestination {
  readonly remote: Endpoint;
  /** The host of the URI it is for: the certificate has to have this name. */
  readonly name: string;
  /** Local address to bind to; undefined when the system chooses. */
  readonly localAddress: string | undefined;
}

/** Source of sockets that carry SIP: plain TCP, or TLS over TCP. */
export interface StreamSockets {
  readonly protocol: 'tcp' | 'tls';
  /** The event after which a socket of `connect` may be written to. */
  readonly openEvent: 'connect' | 'secureConnect';
  /** Accepted connections that do not carry SIP yet. */
  readonly pending: number;
  /** The same for one source. */
  pendingFrom(address: string): number;
  /** Prepares an accepted TCP connection. `ready` is called with the socket that carries SIP, unless the handshake fails. */
  accept(socket: Socket, remote: Endpoint, ready: (socket: Socket) => void): void;
  /** Opens a connection; the socket emits `openEvent`, 'error' and 'close'. */
  connect(destination: StreamDestination): Socket;
  /** Whether the other end of an open connection has shown that it is `name`. */
  isFor(socket: Socket, name: string): boolean;
  /** Whether the other end has a verified certificate. */
  isAuthenticated(socket: Socket): boolean;
  /** Closes accepted connections whose handshake takes too long. */
  closeOverdue(nowMs: number): void;
  close(): void;
}

/** Plain TCP: an accepted connection is ready at once; peers cannot be authenticated. */
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
