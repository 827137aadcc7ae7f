import { X509Certificate } from 'node:crypto';
import { isIP, isIPv6, type Socket } from 'node:net';
import {
  checkServerIdentity,
  connect,
  createSecureContext,
  createServer,
  TLSSocket,
  type PeerCertificate,
  type SecureContext,
  type Server,
} from 'node:tls';
import type { Endpoint } from './flow.js';
import { Handshakes, type HandshakesOptions } from './handshakes.js';
import type { StreamDestination, StreamSockets } from './stream-sockets.js';

/** Who the agent is and whom it believes; all of it in PEM. */
export interface TlsCredentials {
  /** Our certificate and those between it and its authority, ours first. */
  readonly cert: string;
  readonly key: string;
  /** The only authorities believed. Default: the well-known ones for servers, none for clients. */
  readonly ca?: string | undefined;
}

export interface TlsOptions extends TlsCredentials {
  /** Whether peers that connect to us are asked for a certificate, and refused without one. A wrong one always is. */
  readonly clientCertificate: 'never' | 'optional' | 'required';
}

/** Makes the sockets of SIP over TLS. What fails in a handshake is told to `failed`, once each. */
export class TlsSockets implements StreamSockets {
  readonly protocol = 'tls';
  readonly openEvent = 'secureConnect';
  readonly #options: TlsOptions;
  readonly #handshakes: Handshakes;
  /** Never listens: it is handed connections one by one. */
  readonly #server: Server;
  #context: SecureContext;

  /** Throws an Error when certificate, key or authorities are unusable. */
  constructor(options: TlsOptions, handshakes: HandshakesOptions) {
    if (options.clientCertificate !== 'never' && options.ca === undefined) {
      throw new Error('Client certificates need an authority of their own');
    }
    this.#options = options;
    this.#handshakes = new Handshakes(handshakes);
    this.#context = createSecureContext(contextOf(options));
    this.#server = createServer({
      ...contextOf(options),
      requestCert: options.clientCertificate !== 'never',
      // Judged in #secured, where it is known who is being refused.
      rejectUnauthorized: false,
    });
    this.#server.on('secureConnection', (socket) => this.#secured(socket));
    this.#server.on('tlsClientError', (error, socket) => {
      const remote = remoteOf(socket);
      if (remote) this.#handshakes.blame(remote, error.message);
    });
  }

  get pending(): number {
    return this.#handshakes.size;
  }

  pendingFrom(address: string): number {
    return this.#handshakes.from(address);
  }

  /** New connections use these from now on; the others stay as they are. Throws as the constructor does. */
  renew(credentials: TlsCredentials): void {
    const context = createSecureContext(contextOf(credentials));
    this.#server.setSecureContext(contextOf(credentials));
    this.#context = context;
  }

  accept(socket: Socket, remote: Endpoint, ready: (socket: Socket) => void): void {
    if (this.#handshakes.begin(socket, remote, ready)) this.#server.emit('connection', socket);
  }

  connect({ remote, name, localAddress }: StreamDestination): Socket {
    return connect({
      host: remote.address,
      port: remote.port,
      ...(localAddress === undefined ? {} : { localAddress }),
      // RFC 6066 section 3: an address is no server name.
      servername: isIP(name) ? '' : name,
      secureContext: this.#context,
      checkServerIdentity: (_, certificate) => identityFault(name, certificate),
    });
  }

  isFor(socket: Socket, name: string): boolean {
    return isTls(socket) && socket.authorized && identityFault(name, socket.getPeerCertificate()) === undefined;
  }

  isAuthenticated(socket: Socket): boolean {
    return isTls(socket) && socket.authorized;
  }

  closeOverdue(nowMs: number): void {
    this.#handshakes.closeOverdue(nowMs);
  }

  close(): void {
    this.#handshakes.close();
  }

  #secured(socket: TLSSocket): void {
    const remote = remoteOf(socket);
    const fault = this.#clientFault(socket);
    if (remote && fault !== undefined) this.#handshakes.blame(remote, fault);
    if (!remote || fault !== undefined || !this.#handshakes.complete(remote, socket)) socket.destroy();
  }

  #clientFault(socket: TLSSocket): string | undefined {
    const { clientCertificate } = this.#options;
    if (clientCertificate === 'never' || socket.authorized) return undefined;
    const given = Object.keys(socket.getPeerCertificate()).length > 0;
    if (!given) return clientCertificate === 'required' ? 'no client certificate' : undefined;
    return `client certificate refused: ${String(socket.authorizationError)}`;
  }
}

function contextOf({ cert, key, ca }: TlsCredentials) {
  return { cert, key, ...(ca === undefined ? {} : { ca }) };
}

function isTls(socket: Socket): socket is TLSSocket {
  return socket instanceof TLSSocket;
}

function remoteOf({ remoteAddress: address, remotePort: port }: Socket): Endpoint | undefined {
  return address === undefined || port === undefined ? undefined : { address, port };
}

/**
 * Whether a certificate is that of the SIP domain or address `name`: by a "sip:" URI among its alternative names
 * (RFC 5922 section 7.1), or as for any other server by a DNS name or an address. Wildcards count, which RFC 5922
 * section 7.2 would rather not have: carriers use them.
 * Returns what is wrong, if anything.
 */
export function identityFault(name: string, certificate: PeerCertificate): Error | undefined {
  const domain = name.toLowerCase();
  const uris = alternativeNames(certificate).filter((entry) => entry.toLowerCase() === `uri:sip:${domain}`);
  if (uris.length > 0) return undefined;
  return isIPv6(name) ? addressFault(name, certificate) : checkServerIdentity(name, certificate);
}

/** By OpenSSL: some versions of Node take an IPv6 address for a host name here (22.23). */
function addressFault(address: string, { raw, subjectaltname = '' }: PeerCertificate): Error | undefined {
  if (new X509Certificate(raw).checkIP(address.replace(/%.*$/, ''))) return undefined;
  return new Error(`Hostname/IP does not match certificate's altnames: ${address} is not in ${subjectaltname}`);
}

/**
 * `URI:sip:example.com`, `DNS:example.com` and so on. Node puts quotes around an entry that could be taken for several:
 * no SIP domain needs them, so a certificate that has any is left to Node.
 */
function alternativeNames({ subjectaltname = '' }: Partial<PeerCertificate>): string[] {
  return subjectaltname.includes('"') ? [] : subjectaltname.split(', ');
}
