export type TransportProtocol = 'udp' | 'tcp' | 'tls';

/** An IP address (no brackets around IPv6) and a port. */
export interface Endpoint {
  readonly address: string;
  readonly port: number;
}

/**
 * The way to one peer: a UDP socket and an address, or a TCP or TLS connection. Everything above the transports
 * sends through one of these and never learns what is behind it.
 */
export interface Flow {
  readonly protocol: TransportProtocol;
  /** Retransmission is the transport's business: timers A, E and G stay off. */
  readonly reliable: boolean;
  readonly remote: Endpoint;
  /** Our side, as the peer can reach it: what Via and Contact say. */
  readonly local: Endpoint;
  /** False once the connection is gone; a UDP flow is always usable. */
  readonly usable: boolean;
  /** The same peer at another port; a connection is itself whatever the port. */
  toPort(port: number): Flow;
  /** Hands one message to the network. Never throws; a failure is told to the failure listeners. */
  send(bytes: Buffer): void;
  /**
   * Asks to be told when the flow turns out to be unusable: a failed UDP send, a TCP connection refused or lost.
   * Never called synchronously. Returns the way to stop listening.
   */
  onFailure(listener: FlowFailureListener): () => void;
  /** Keeps an idle connection open until the returned function is called. */
  hold(): () => void;
}

export type FlowFailureListener = (reason: string) => void;

/** The failure listeners of one flow; made on first use, as most flows never have one. */
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
