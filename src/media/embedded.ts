import { randomInt } from 'node:crypto';
import type { BridgeMedia, TransportAddress } from '../bridge/messages.js';
import type { AcceptedOffer, MediaEngine, MediaLeg } from './engine.js';
import { negotiateOffer, readAnswer, writeOffer, type CodecName, type NegotiatedOffer } from './sdp.js';

export interface EmbeddedMediaOptions {
  readonly codecs: readonly CodecName[];
  /** `media.bind`: used as our address when it is a specific one. */
  readonly bind: string;
  /** `media.advertise`: the address the caller's network reaches us at, when it is not our own. */
  readonly advertise?: string | undefined;
}

/** The caller's RTP comes straight to the bridge's port. */
export class EmbeddedMediaEngine implements MediaEngine {
  readonly name = 'embedded';
  readonly #options: EmbeddedMediaOptions;

  constructor(options: EmbeddedMediaOptions) {
    this.#options = options;
  }

  accept(offer: string | undefined): AcceptedOffer {
    const { codecs } = this.#options;
    const negotiated = offer === undefined ? undefined : negotiateOffer(offer, codecs);
    return {
      connect: (bridgePort, localAddress) => {
        const rtp = { address: this.#advertisedAddress(localAddress), port: bridgePort };
        return Promise.resolve(new EmbeddedMediaLeg(codecs, rtp, negotiated));
      },
    };
  }

  #advertisedAddress(localAddress: string): string {
    const { advertise, bind } = this.#options;
    if (advertise !== undefined) return advertise;
    return bind === '0.0.0.0' || bind === '::' ? localAddress : bind;
  }
}

class EmbeddedMediaLeg implements MediaLeg {
  readonly advertised: TransportAddress;
  localSdp: string;
  codec: CodecName | undefined;
  media: BridgeMedia | undefined;

  readonly #codecs: readonly CodecName[];
  readonly #sessionId = randomInt(1, 2 ** 31);
  #version = 1;

  constructor(codecs: readonly CodecName[], rtp: TransportAddress, negotiated: NegotiatedOffer | undefined) {
    this.#codecs = codecs;
    this.advertised = rtp;
    this.codec = negotiated?.codec;
    this.media = negotiated?.media;
    this.localSdp = negotiated ? negotiated.answer(this.#local()) : writeOffer(this.#local(), codecs);
  }

  acceptAnswer(sdp: string): void {
    const { codec, media } = readAnswer(sdp, this.#codecs);
    this.codec = codec;
    this.media = media;
  }

  renegotiate(offer: string): string {
    const negotiated = negotiateOffer(offer, this.#codecs);
    this.#version += 1;
    this.codec = negotiated.codec;
    this.media = negotiated.media;
    this.localSdp = negotiated.answer(this.#local());
    return this.localSdp;
  }

  reoffer(): string {
    this.#version += 1;
    this.localSdp = writeOffer(this.#local(), this.#codecs);
    return this.localSdp;
  }

  close(): void {
    // The RTP port belongs to the bridge, which gives it back itself.
  }

  #local(): { sessionId: number; version: number; rtp: TransportAddress } {
    return { sessionId: this.#sessionId, version: this.#version, rtp: this.advertised };
  }
}
