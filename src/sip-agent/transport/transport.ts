import type { Endpoint, Flow, TransportProtocol } from './flow.js';
import type { Envelope, SipRequest, SipResponse } from '../syntax/message.js';
import type { ParseFailure } from '../syntax/parse.js';

/** Where a transport delivers what it receives. Neither function throws. */
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

/** The host Via and Contact have to give a peer at an address; undefined for ours as the peer is reached from it. */
export type AdvertisedHost = (peerAddress: string) => string | undefined;

/** What the configuration says about one listener. */
export interface ListenerConfig extends BoundAddress {
  /** As it was written, for error messages. */
  readonly text: string;
}

/** A listener and the flows that leave from it. */
export interface Transport {
  readonly bound: BoundAddress;
  /**
   * A flow to a peer. `localAddress` is the address of ours that peer can reach, `name` the host of the URI it is for.
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
