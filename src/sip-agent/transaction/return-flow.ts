import type { Endpoint, Flow, FlowFailureListener, TransportProtocol } from '../transport/flow.js';

/** Responses queued for the new connection: a final one and the provisional ones before it. */
const MAX_WAITING = 4;

/**
 * The flow for responses over a connection that may be closed before the response is sent. Then a new connection is
 * opened, to the source address of the request and the port in its Via (RFC 3261 section 18.2.2).
 */
export class ReturnFlow implements Flow {
  readonly protocol: TransportProtocol;
  readonly reliable = true;
  readonly remote: Endpoint;
  readonly local: Endpoint;
  readonly #reopen: () => Promise<Flow>;
  #flow: Flow;
  /** Queued responses; empty unless a connection is being opened. */
  #waiting: Buffer[] = [];

  /** When `reopen` rejects, the queued responses are dropped; the next response tries again. */
  constructor(flow: Flow, reopen: () => Promise<Flow>) {
    this.protocol = flow.protocol;
    this.remote = flow.remote;
    this.local = flow.local;
    this.#flow = flow;
    this.#reopen = reopen;
  }

  get usable(): boolean {
    return this.#flow.usable;
  }

  toPort(): Flow {
    return this;
  }

  send(bytes: Buffer): void {
    if (this.#flow.usable) this.#flow.send(bytes);
    else this.#sendAnew(bytes);
  }

  onFailure(listener: FlowFailureListener): () => void {
    return this.#flow.onFailure(listener);
  }

  hold(): () => void {
    return this.#flow.hold();
  }

  #sendAnew(bytes: Buffer): void {
    if (this.#waiting.length < MAX_WAITING) this.#waiting.push(bytes);
    if (this.#waiting.length > 1) return;
    this.#reopen().then(
      (flow) => {
        this.#flow = flow;
        for (const each of this.#waiting.splice(0)) flow.send(each);
      },
      () => {
        this.#waiting = [];
      },
    );
  }
}
