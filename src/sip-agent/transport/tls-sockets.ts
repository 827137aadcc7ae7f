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

/** The agent's certificate and key and its trusted authorities, in PEM. */
export interface TlsCredentials {
  /** Our certificate, followed by the intermediate ones. */
  readonly cert: string;
  readonly key: string;
  /** The only trusted authorities. Default: the well-known ones for servers, none for clients. */
  readonly ca?: string | undefined;
}

export interface TlsOptions extends TlsCredentials {
  /** Whether peers that connect to us are asked for a certificate, and refused without one. A wrong one is always refused. */
  readonly clientCertificate: 'never' | 'optional' | 'required';
}

/** The sockets of SIP over TLS. Each failed handshake is reported once to `failed`. */
export class TlsSockets implements StreamSockets {
  readonly protocol = 'tls';
  readonly openEvent = 'secureConnect';
  readonly #options: TlsOptions;
  readonly #handshakes: Handshakes;
  /** Never listens: accepted TCP connections are given to it one by one. */
  readonly #server: Server;
  #context: SecureContext;

  /** Throws an Error when the certificate, the key or the authorities are unusable. */
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
      // Checked in #secured, where the peer's address is known for the log.
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

  /** Uses these credentials for new connections; open ones stay unchanged. Throws as the constructor does. */
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
      // RFC 6066 section 3: an IP address is not allowed as a server name.
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
 * Checks that a certificate belongs to the SIP domain or address `name`: by a "sip:" URI among its alternative names
 * (RFC 5922 section 7.1), or by a DNS name or an address, as for any other server. Wildcards are accepted although RFC 5922
 * section 7.2 forbids them: carriers use them. Returns the fault, if there is one.
 */
export function identityFault(name: string, certificate: PeerCertificate): Error | undefined {
  const domain = name.toLowerCase();
  const uris = alternativeNames(certificate).filter((entry) => entry.toLowerCase() === `uri:sip:${domain}`);
  if (uris.length > 0) return undefined;
  return isIPv6(name) ? addressFault(name, certificate) : checkServerIdentity(name, certificate);
}

/** OpenSSL checks an IPv6 address: some versions of Node (22.23) take it for a host name. */
function addressFault(address: string, { raw, subjectaltname = '' }: PeerCertificate): Error | undefined {
  if (new X509Certificate(raw).checkIP(address.replace(/%.*$/, ''))) return undefined;
  return new Error(`Hostname/IP does not match certificate's altnames: ${address} is not in ${subjectaltname}`);
}

/**
 * The alternative names: `URI:sip:example.com`, `DNS:example.com` and so on. Node quotes an ambiguous entry, which no SIP
 * domain is: a certificate with quotes is checked by Node alone.
 */
function alternativeNames({ subjectaltname = '' }: Partial<PeerCertificate>): string[] {
  return subjectaltname.includes('"') ? [] : subjectaltname.split(', ');
}
