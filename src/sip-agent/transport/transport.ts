import type { Endpoint, Flow, TransportProtocol } from './flow.js';
import type { Envelope, SipRequest, SipResponse } from '../syntax/message.js';
import type { ParseFailure } from '../syntax/parse.js';

/** Receives the messages of a transport. Neither function throws. */
export interface MessageSink {
  message(message: SipRequest | SipResponse, envelope: Envelope, flow: Flow): void;
  malformed(failure: ParseFailure, flow: Flow): void;
}

/** One address the agent listens on, as it was bound. */
export interface BoundAddress {
  readonly protocol: TransportProtocol;
  readonly address: string;
  readonly port: number;
}

/** The host for Via and Contact towards a peer's address; undefined for the local address that reaches the peer. */
export type AdvertisedHost = (peerAddress: string) => string | undefined;

/** One listener as configured. */
export interface ListenerConfig extends BoundAddress {
  /** The configured text, for error messages. */
  readonly text: string;
}

/** A listener and the flows that leave from it. */
export interface Transport {
  readonly bound: BoundAddress;
  /**
   * A flow to a peer. `localAddress` is our address as that peer can reach it, `name` the host of the URI the flow is for.
   * Never throws.
   */
  flowTo(remote: Endpoint, localAddress: string, name: string): Flow;
  /** Closes the listener and every connection. */
  close(): Promise<void>;
}

/** Whether an address stands for every address of the machine. */
export function isWildcard(address: string): boolean {
  return address === '0.0.0.0' || address === '::';
}
