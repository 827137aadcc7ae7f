export type TransportProtocol = 'udp' | 'tcp' | 'tls';

/** An IP address (no brackets around IPv6) and a port. */
export interface Endpoint {
  readonly address: string;
  readonly port: number;
}

/**
 * A flow to one peer (RFC 5626): a UDP socket and an address, or a TCP or TLS connection. The layers above the
 * transports send through flows only.
 */
export interface Flow {
  readonly protocol: TransportProtocol;
  /** The transport retransmits: timers A, E and G stay off. */
  readonly reliable: boolean;
  readonly remote: Endpoint;
  /** Our address as the peer can reach it, for Via and Contact. */
  readonly local: Endpoint;
  /** False once the connection is gone; a UDP flow is always usable. */
  readonly usable: boolean;
  /** The flow to another port of the same peer; a connection returns itself. */
  toPort(port: number): Flow;
  /** Sends one message. Never throws; a failure is reported to the failure listeners. */
  send(bytes: Buffer): void;
  /**
   * Adds a listener for failures of the flow: a failed UDP send, a connection refused or lost. It is never called
   * synchronously. Returns a function that removes the listener.
   */
  onFailure(listener: FlowFailureListener): () => void;
  /** Keeps an idle connection open until the returned function is called. */
  hold(): () => void;
}

export type FlowFailureListener = (reason: string) => void;

/** The failure listeners of one flow; created on first use, as most flows never have one. */
export class FailureListeners {
  #listeners: Set<FlowFailureListener> | undefined;

  add(listener: FlowFailureListener): () => void {
    const listeners = (this.#listeners ??= new Set());
    listeners.add(listener);
    return () => {
      listeners.delete(listener);
    };
  }

  emit(reason: string): void {
    const listeners = this.#listeners;
    if (!listeners) return;
    this.#listeners = undefined;
    for (const listener of listeners) listener(reason);
  }
}

/** `host:port` as SIP writes it, with brackets around an IPv6 address. */
export function formatHostPort({ address, port }: Endpoint): string {
  return `${formatHost(address)}:${port}`;
}

function formatHost(host: string): string {
  return host.includes(':') ? `[${host}]` : host;
}
