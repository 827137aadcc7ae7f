import {
  FailureListeners,
  type Endpoint,
  type Flow,
  type FlowFailureListener,
  type TransportProtocol,
} from './flow.js';

/**
 * The flow to an unknown host: every send fails. This way a name that DNS does not know is a transport error, which gives the
 * client a 503 (RFC 3261 section 8.1.3.1), as drachtio-server does.
 */
export class DeadFlow implements Flow {
  readonly reliable = true;
  readonly usable = false;
  readonly #failures = new FailureListeners();

  constructor(
    readonly protocol: TransportProtocol,
    /** Its address is the name that was not found. */
    readonly remote: Endpoint,
    readonly local: Endpoint,
  ) {}

  toPort(): Flow {
    return this;
  }

  send(): void {
    queueMicrotask(() => this.#failures.emit('host unknown'));
  }

  onFailure(listener: FlowFailureListener): () => void {
    return this.#failures.add(listener);
  }

  hold(): () => void {
    return () => undefined;
  }
}
