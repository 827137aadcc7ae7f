import type { Endpoint, Flow, FlowFailureListener, TransportProtocol } from '../transport/flow.js';

/** Responses that wait for the new connection: a final one and the provisional ones before it. */
const MAX_WAITING = 4;

/**
 * The way back over a connection that may be gone when there is something to say. Then it goes over a new one, to the address
 * the request came from and the port its sender gave (RFC 3261 section 18.2.2).
 */
export class ReturnFlow implements Flow {
  readonly protocol: TransportProtocol;
  readonly reliable = true;
  readonly remote: Endpoint;
  readonly local: Endpoint;
  readonly #reopen: () => Promise<Flow>;
  #flow: Flow;
  /** Empty unless a connection is being opened. */
  #waiting: Buffer[] = [];

  /** `reopen` may reject: then what waits is lost, and what comes later is tried again. */
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
