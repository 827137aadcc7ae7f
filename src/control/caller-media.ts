import type { BridgeHandle } from '../bridge/messages.js';
import type { AcceptedOffer, MediaLeg } from '../media/engine.js';
import { SdpError } from '../media/sdp.js';
import { RenegotiationRefused } from '../signaling/sip-endpoint.js';

/** A leg that is not the caller's yet. */
export interface PreparedLeg {
  readonly leg: MediaLeg;
  /** Why its media server is gone, if it is. */
  lost: string | undefined;
}

/**
 * The caller's side of a call's media: the leg, and its SDP offers and answers (RFC 3264). Keeps the bridge up to date with
 * what they agree on. Owns the leg; `close` lets go of it.
 */
export class CallerMedia {
  readonly #bridge: BridgeHandle;
  readonly #onLost: (detail: string) => void;
  #leg: MediaLeg | undefined;
  /** Each may replace `#leg`: when the caller has accepted it, or has been replaced itself. */
  readonly #spares = new Set<MediaLeg>();
  /** The offer was ours (INVITE or re-INVITE without SDP): the next ACK brings the answer. */
  #awaitingAnswer = false;
  /** The leg is another caller's than before, and the bridge does not know yet. */
  #isNewParty = false;
  #closed = false;

  /** `onLost`: the media server is gone; the call is silent until `replace` succeeds. */
  constructor(bridge: BridgeHandle, onLost: (detail: string) => void) {
    this.#bridge = bridge;
    this.#onLost = onLost;
  }

  get codec(): string | undefined {
    return this.#leg?.codec;
  }

  /** False while the caller has put us on hold. */
  get sending(): boolean | undefined {
    return this.#leg?.media?.sending;
  }

  /** Both sides have agreed on a stream. */
  get agreed(): boolean {
    return this.#leg?.media !== undefined;
  }

  /** Resolves to the SDP for the 200. Rejects as AcceptedOffer.connect does. */
  async connect(offer: AcceptedOffer, rtpPort: number, localAddress: string, peerAddress?: string): Promise<string> {
    const leg = await offer.connect(rtpPort, localAddress, peerAddress);
    await this.#adopt(leg);
    this.#awaitingAnswer = !leg.media;
    this.#updateBridge();
    return leg.localSdp;
  }

  /**
   * An ACK, with the answer when the offer was ours. Resolves to true when a stream has been agreed on by it.
   * Rejects with SdpError when the answer that had to come did not, or is none.
   */
  async onAck(sdp: string | undefined): Promise<boolean> {
    if (!this.#awaitingAnswer || !this.#leg) return false;
    this.#awaitingAnswer = false;
    if (sdp === undefined && this.#leg.media) return false; // our re-offer was left unanswered: all stays as agreed
    if (sdp === undefined) throw new SdpError('the ACK brought no answer to our offer');
    await this.#leg.acceptAnswer(sdp);
    this.#updateBridge();
    return true;
  }

  /** Resolves to the SDP for the 200 to a re-INVITE or UPDATE. Rejects with RenegotiationRefused. */
  async renegotiate({ offer, method }: { offer: string | undefined; method: string }): Promise<string | undefined> {
    const leg = this.#leg;
    if (!leg) throw new RenegotiationRefused(481, 'the call is over');
    if (offer === undefined) {
      if (method === 'UPDATE') return undefined; // a session refresh
      this.#awaitingAnswer = true;
      return leg.reoffer();
    }
    try {
      const answer = await leg.renegotiate(offer);
      this.#updateBridge();
      return answer;
    } catch (error) {
      if (error instanceof SdpError) throw new RenegotiationRefused(488, error.message);
      throw error;
    }
  }

  /**
   * After the media server was lost: moves the caller to another leg. `reinvite` sends the offer and resolves to the
   * caller's answer. Rejects when there is no other media server, or the caller refuses.
   */
  async replace(reinvite: (offer: string) => Promise<string>): Promise<void> {
    const lost = this.#leg;
    if (!lost) throw new Error('there is no leg to replace');
    try {
      await this.#replace(lost, reinvite);
    } catch (error) {
      // A caller who has replaced this one meanwhile has media of its own.
      if (this.#leg === lost) throw error;
    }
  }

  async #replace(lost: MediaLeg, reinvite: (offer: string) => Promise<string>): Promise<void> {
    const leg = await lost.replace();
    this.#spares.add(leg);
    try {
      this.#expectOpen();
      await leg.acceptAnswer(await reinvite(leg.localSdp));
      this.#expectOpen();
      if (this.#leg !== lost) throw new Error('the caller has been replaced');
    } catch (error) {
      await leg.close();
      throw error;
    } finally {
      this.#spares.delete(leg);
    }
    await this.#adopt(leg);
    this.#updateBridge();
    await lost.close();
  }

  /**
   * A leg for another party that is to replace the caller: to be adopted when its INVITE has been answered, or else
   * discarded. Rejects as AcceptedOffer.connect does.
   */
  async prepare(
    offer: AcceptedOffer,
    rtpPort: number,
    localAddress: string,
    peerAddress: string,
  ): Promise<PreparedLeg> {
    const leg = await offer.connect(rtpPort, localAddress, peerAddress);
    this.#spares.add(leg);
    const prepared: PreparedLeg = { leg, lost: undefined };
    leg.onLost = (detail) => (prepared.lost = detail);
    return prepared;
  }

  /** The bridge gets it now, or when the ACK has brought the answer to our offer. */
  async adopt({ leg, lost }: PreparedLeg): Promise<void> {
    const replaced = this.#leg;
    this.#spares.delete(leg);
    this.#awaitingAnswer = !leg.media;
    this.#isNewParty = true;
    await this.#adopt(leg);
    this.#updateBridge();
    await replaced?.close();
    if (lost !== undefined && !this.#closed) this.#onLost(lost);
  }

  async discard({ leg }: PreparedLeg): Promise<void> {
    if (this.#spares.delete(leg)) await leg.close();
  }

  async close(): Promise<void> {
    this.#closed = true;
    // The caller's answer to a re-INVITE may never come: what was made for it does not wait.
    const legs = [...(this.#leg ? [this.#leg] : []), ...this.#spares];
    await Promise.all(legs.map((leg) => leg.close()));
  }

  #expectOpen(): void {
    if (this.#closed) throw new Error('the call is over');
  }

  async #adopt(leg: MediaLeg): Promise<void> {
    this.#leg = leg;
    if (this.#closed) await leg.close();
    leg.onLost = this.#onLost;
  }

  #updateBridge(): void {
    if (!this.#leg?.media || this.#closed) return;
    this.#bridge.setMedia({ ...this.#leg.media, ...(this.#isNewParty ? { newParty: true } : {}) });
    this.#isNewParty = false;
  }
}
