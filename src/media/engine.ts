import type { BridgeMedia, TransportAddress } from '../bridge/messages.js';
import type { CodecName } from './sdp.js';

/**
 * Where the caller's RTP ends. An offer goes in, a MediaLeg comes out; the leg says what SDP the caller gets and what
 * stream the bridge's own RTP port carries.
 */
export interface MediaEngine {
  readonly name: 'embedded' | 'freeswitch';
  /**
   * Reads the caller's offer before anything is spent on the call; without one the leg will make the offer.
   * Throws SdpError when there is nothing in it we can speak.
   */
  accept(offer: string | undefined): AcceptedOffer;
}

export interface AcceptedOffer {
  /**
   * Binds the accepted offer to the bridge's RTP port. `localAddress` is the address the caller reached us at.
   * Rejects when the engine has no room or cannot be reached.
   */
  connect(bridgePort: number, localAddress: string): Promise<MediaLeg>;
}

export interface MediaLeg {
  /** For the 200: an answer, or our offer when the INVITE had none. */
  readonly localSdp: string;
  /** Absent while our own offer is unanswered. */
  readonly codec: CodecName | undefined;
  readonly media: BridgeMedia | undefined;
  /** Where we told the caller to send its RTP. */
  readonly advertised: TransportAddress;
  /** The answer to our offer, from the ACK. Throws SdpError. */
  acceptAnswer(sdp: string): void;
  /** A re-INVITE's or UPDATE's offer; returns our answer. Throws SdpError and leaves the leg as it was. */
  renegotiate(offer: string): string;
  /** A re-INVITE without an offer: our description as a new offer, answered by `acceptAnswer`. */
  reoffer(): string;
  /** Releases what the leg holds. Idempotent. */
  close(): void;
}
