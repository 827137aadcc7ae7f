import type { BridgeMedia } from '../bridge/messages.js';
import type { CodecName } from './sdp.js';

/**
 * Where the caller's RTP ends. An offer goes in, a MediaLeg comes out; the leg says what SDP the caller gets and what
 * stream the bridge's own RTP port carries.
 */
export interface MediaEngine {
  readonly name: 'embedded' | 'freeswitch';
  /**
   * Reads the caller's offer before anything is spent on the call; without one the leg will make the offer.
   * `offeredBy` is the address its signalling comes from, '' when that is not known.
   * Throws SdpError when there is nothing in it we can speak, or its RTP is wanted where we do not send any.
   */
  accept(offer: string | undefined, offeredBy?: string): AcceptedOffer;
}

export interface AcceptedOffer {
  /** What will be spoken, as far as it is known: without an offer, what we shall offer first. */
  readonly codec?: CodecName | undefined;
  /**
   * Binds the accepted offer to the bridge's RTP port. `localAddress` is the address the caller reached us at,
   * `peerAddress` the one its signalling comes from, by default that of the offer.
   * Rejects with a MediaUnavailable when the engine has no room or cannot be reached.
   */
  connect(bridgePort: number, localAddress: string, peerAddress?: string): Promise<MediaLeg>;
}

/** No media server took the call, for a passing reason: to the caller this is a 503. */
export class MediaUnavailable extends Error {
  override readonly name = 'MediaUnavailable';
}

/** Where one call's caller and the bridge are. */
export interface BridgeAddress {
  readonly bridgePort: number;
  /** The address the caller reached us at. */
  readonly localAddress: string;
  /** The address its signalling came from; '' when it is not known. */
  readonly peerAddress: string;
}

/** The address a peer is told to send its RTP to; undefined for our own. `peerAddress` is '' where it is not known. */
export type AdvertisedTo = (peerAddress: string) => string | undefined;

export interface MediaLeg {
  /** For the 200: an answer, or our offer when the INVITE had none. */
  readonly localSdp: string;
  /** The caller's codec. Absent while our own offer is unanswered. */
  readonly codec: CodecName | undefined;
  /** The stream between the caller, or the media server in front of it, and the bridge. */
  readonly media: BridgeMedia | undefined;
  /**
   * The leg's media server is gone, and the caller with it unless `replace` finds another way. At most once, never
   * after `close`.
   */
  onLost: ((detail: string) => void) | undefined;
  /** The answer to our offer, from an ACK or from a 200 to our re-INVITE. Rejects with SdpError. */
  acceptAnswer(sdp: string): Promise<void>;
  /** A re-INVITE's or UPDATE's offer; resolves to our answer. Rejects with SdpError and leaves the leg as it was. */
  renegotiate(offer: string): Promise<string>;
  /** A re-INVITE without an offer: our description as a new offer, answered by `acceptAnswer`. */
  reoffer(): string;
  /**
   * After `onLost`: a new leg on what is still there, whose `localSdp` is an offer to re-INVITE the caller with.
   * Rejects with a MediaUnavailable. This leg still has to be closed.
   */
  replace(): Promise<MediaLeg>;
  /** Releases what the leg holds. Idempotent, never rejects. */
  close(): Promise<void>;
}
