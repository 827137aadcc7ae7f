import { createHash, X509Certificate } from 'node:crypto';
import type { Agent } from 'node:http';
import { createRequire } from 'node:module';
import { isIPv6 } from 'node:net';
import {
  checkServerIdentity,
  createSecureContext,
  rootCertificates,
  type ConnectionOptions,
  type PeerCertificate,
  type SecureContext,
} from 'node:tls';
import type * as ProxyAgents from 'https-proxy-agent';
import { classifyNetworkError, proxyFailed, proxyRefused, type AgentEnding } from './endings.js';
import { isProxied } from './no-proxy.js';

/** How connections to Pranthora are made. Plain data, as the configuration has it. */
export interface NetworkSettings {
  /** Hosts besides the base URL's own that a handshake may lead to, `host` or `host:port`. */
  readonly allowHosts?: readonly string[];
  readonly tls?: TlsSettings;
  readonly proxy?: ProxySettings;
}

/** For every `wss:` and `https:` connection to Pranthora. */
export interface TlsSettings {
  /** PEM certificates trusted beside the well-known authorities'. */
  readonly ca?: string;
  /** Base64 SHA-256 of acceptable public keys (SubjectPublicKeyInfo); the server's own certificate must have one. */
  readonly pinnedSha256?: readonly string[];
  /** The name to ask for (SNI) and to find in the certificate, instead of the URL's host. */
  readonly servername?: string;
}

export interface ProxySettings {
  /** `http:` or `https:`, with or without credentials; `wss:` and `https:` connections are tunnelled through it. */
  readonly url: string;
  /** Hosts reached without it: `host`, `.suffix`, either with `:port`, or `*` for all. */
  readonly noProxy: readonly string[];
}

/** A proxy, and what tunnels through it. */
interface Proxy extends ProxySettings {
  readonly agents: typeof ProxyAgents;
}

/** What `http.request`, `https.request` and ws take over from here. */
export interface RouteOptions extends Pick<ConnectionOptions, 'secureContext' | 'servername' | 'checkServerIdentity'> {
  /** Absent without a proxy. */
  readonly agent?: Agent;
}

/** Ways to Pranthora by one set of settings. Make one a thread, not one a call: trusted certificates are read once. */
export class AgentNetwork {
  readonly #settings: NetworkSettings;
  readonly #proxy: Proxy | undefined;
  readonly #secureContext: SecureContext | undefined;

  /** @throws Error when `tls.ca` is not PEM. */
  constructor(settings: NetworkSettings = {}) {
    this.#settings = settings;
    const { ca } = settings.tls ?? {};
    if (settings.proxy) this.#proxy = { ...settings.proxy, agents: proxyAgents() };
    if (ca !== undefined) this.#secureContext = createSecureContext({ ca: [...rootCertificates, ca] });
  }

  /** The way for one connection to `url`. */
  route(url: URL): Route {
    const proxy = this.#proxy;
    const isSecure = url.protocol === 'wss:' || url.protocol === 'https:';
    const tls = isSecure ? this.#tlsOptions(bareHost(url)) : {};
    return isSecure && proxy && isProxied(url, proxy.noProxy) ? new ProxyRoute(proxy, tls) : new DirectRoute(tls);
  }

  /** Whether a handshake at `base` may lead to `url`: to the same host and port, or to one that is named. */
  allows(url: URL, base: URL): boolean {
    const named = this.#settings.allowHosts ?? [];
    return url.host === base.host || named.includes(url.hostname) || named.includes(hostAndPort(url));
  }

  #tlsOptions(host: string): Omit<RouteOptions, 'agent'> {
    const { servername, pinnedSha256 } = this.#settings.tls ?? {};
    return {
      ...(this.#secureContext && { secureContext: this.#secureContext }),
      ...(servername !== undefined && { servername }),
      // With the host said outright: behind a proxy Node does not know it. The chain has been checked before.
      checkServerIdentity: (_host, certificate) =>
        identityFault(servername ?? host, certificate) ?? pinFault(certificate, pinnedSha256),
    };
  }
}

/** How one connection is made. */
export interface Route {
  readonly options: RouteOptions;
  /** What it means that the connection failed with `error`. */
  classify(error: Error): AgentEnding;
  /** What it means that an HTTP answer came from somebody on the way; undefined if it came from the server. */
  refusal(): AgentEnding | undefined;
  /** Gives up what is still on the way. Not for an established connection. */
  abort(): void;
}

class DirectRoute implements Route {
  readonly options: RouteOptions;

  constructor(tls: RouteOptions) {
    this.options = tls;
  }

  classify(error: Error): AgentEnding {
    return classifyNetworkError(error);
  }

  refusal(): undefined {
    return undefined;
  }

  abort(): void {
    // Whoever made the request destroys it, and with it the socket.
  }
}

/** Through a tunnel (CONNECT, RFC 9110 9.3.6). */
class ProxyRoute implements Route {
  readonly options: RouteOptions;
  readonly #abort = new AbortController();
  /** The proxy's answer to CONNECT, once there is one. */
  #status: number | undefined;

  constructor({ url, agents }: Proxy, tls: RouteOptions) {
    // Destroying the request does not reach the proxy's socket before the tunnel stands; the signal does.
    const agent = new agents.HttpsProxyAgent(url, { signal: this.#abort.signal });
    agent.on('proxyConnect', ({ statusCode }: { statusCode: number }) => {
      this.#status = statusCode;
    });
    this.options = { ...tls, agent };
  }

  classify(error: Error): AgentEnding {
    return this.refusal() ?? (this.#status === undefined ? proxyFailed(error) : classifyNetworkError(error));
  }

  refusal(): AgentEnding | undefined {
    return this.#status === undefined || this.#status === 200 ? undefined : proxyRefused(this.#status);
  }

  abort(): void {
    this.#abort.abort();
  }
}

/** IPv6 addresses by OpenSSL: some versions of Node take one for a host name here (22.23). */
function identityFault(host: string, certificate: PeerCertificate): Error | undefined {
  if (!isIPv6(host)) return checkServerIdentity(host, certificate);
  if (new X509Certificate(certificate.raw).checkIP(host)) return undefined;
  const fault = new Error(`Hostname/IP does not match certificate's altnames: ${certificate.subjectaltname ?? ''}`);
  return Object.assign(fault, { code: 'ERR_TLS_CERT_ALTNAME_INVALID' });
}

/** Loaded by those alone who have a proxy, and before a call waits for it: each thread would keep two megabytes of it. */
function proxyAgents(): typeof ProxyAgents {
  return createRequire(import.meta.url)('https-proxy-agent') as typeof ProxyAgents;
}

/** The server's own certificate counts: the rest of the chain is whatever the server says it is. */
function pinFault({ raw }: PeerCertificate, pins: readonly string[] | undefined): Error | undefined {
  if (!pins) return undefined;
  const key = new X509Certificate(raw).publicKey.export({ type: 'spki', format: 'der' });
  const pin = createHash('sha256').update(key).digest('base64');
  if (pins.includes(pin)) return undefined;
  return Object.assign(new Error('the public key is not a pinned one'), { code: 'CERT_NOT_PINNED' });
}

/** Without the brackets of an IPv6 address. */
function bareHost({ hostname }: URL): string {
  return hostname.replace(/^\[|\]$/g, '');
}

function hostAndPort(url: URL): string {
  const isSecure = url.protocol === 'wss:' || url.protocol === 'https:';
  return `${url.hostname}:${url.port === '' ? (isSecure ? 443 : 80) : url.port}`;
}
