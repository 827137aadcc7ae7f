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

/** Ways to Pranthora by one set of settings. Make one a thread, not one a call: trusted certificates are read once. */
export class AgentNetwork {
  readonly #settings: NetworkSettings;

  constructor(settings: NetworkSettings = {}) {
    this.#settings = settings;
  }
}
