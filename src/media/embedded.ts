import { randomInt } from 'node:crypto';
import type { StreamEncoding } from '../audio/encodings.js';
import type { BridgeMedia, TransportAddress } from '../bridge/messages.js';
import {
  MediaUnavailable,
  type AcceptedOffer,
  type AdvertisedTo,
  type BridgeAddress,
  type MediaEngine,
  type MediaLeg,
} from './engine.js';
import {
  negotiateOffer,
  readAnswer,
  writeOffer,
  type CodecOrder,
  type LocalDescription,
  type NegotiatedOffer,
  type NegotiatedStream,
} from './sdp.js';

export interface EmbeddedMediaOptions {
  /** What is spoken to callers, in order of preference. */
  readonly codecs: readonly StreamEncoding[];
  /** `media.codecOrder`: whose order decides about an offer. Default: the offer's. */
  readonly codecOrder?: CodecOrder;
  /** `media.bind`: used as our address when it is a specific one. */
  readonly bind: string;
  /** `media.advertise`: the address the caller's network reaches us at, when it is not our own. */
  readonly advertise?: AdvertisedTo;
}

/** The caller's RTP comes straight to the bridge's port. */
export class EmbeddedMediaEngine implements MediaEngine {
  readonly name = 'embedded';
  readonly #options: EmbeddedMediaOptions;

  constructor(options: EmbeddedMediaOptions) {
    this.#options = options;
  }

  accept(offer: string | undefined): AcceptedOffer {
    const negotiated = offer === undefined ? undefined : this.#negotiate(offer);
    return {
      connect: (bridgePort, localAddress, peerAddress = '') =>
        Promise.resolve(this.leg({ bridgePort, localAddress, peerAddress }, negotiated)),
    };
  }

  /** The leg itself; without a negotiated offer it makes one. */
  leg(at: BridgeAddress, negotiated?: NegotiatedOffer): MediaLeg {
    const rtp = { address: this.#addressFor(at), port: at.bridgePort };
    return new EmbeddedMediaLeg({ codecs: this.#options.codecs, rtp, negotiate: this.#negotiate }, negotiated);
  }

  readonly #negotiate = (offer: string): NegotiatedOffer =>
    negotiateOffer(offer, this.#options.codecs, this.#options.codecOrder);

  #addressFor({ localAddress, peerAddress }: BridgeAddress): string {
    const { advertise, bind } = this.#options;
    const advertised = advertise?.(peerAddress);
    if (advertised !== undefined) return advertised;
    return bind === '0.0.0.0' || bind === '::' ? localAddress : bind;
  }
}

interface EmbeddedLegParts {
  /** For offers of our own, and their answers. */
  readonly codecs: readonly StreamEncoding[];
  readonly rtp: TransportAddress;
  readonly negotiate: (offer: string) => NegotiatedOffer;
}

class EmbeddedMediaLeg implements MediaLeg {
  localSdp: string;
  onLost: ((detail: string) => void) | undefined;

  readonly #parts: EmbeddedLegParts;
  readonly #sessionId = randomInt(1, 2 ** 31);
  #version = 1;
  #stream: NegotiatedStream | undefined;

  constructor(parts: EmbeddedLegParts, negotiated: NegotiatedOffer | undefined) {
    this.#parts = parts;
    this.#stream = negotiated?.stream;
    this.localSdp = negotiated ? negotiated.answer(this.#local()) : writeOffer(this.#local(), parts.codecs);
  }

  get codec(): StreamEncoding | undefined {
    return this.#stream?.codec as StreamEncoding | undefined; // only `codecs` were negotiable
  }

  get media(): BridgeMedia | undefined {
    const { codec } = this;
    return this.#stream && codec && { ...this.#stream, encoding: codec };
  }

  acceptAnswer(sdp: string): Promise<void> {
    return attempt(() => {
      this.#stream = readAnswer(sdp, this.#parts.codecs);
    });
  }

  renegotiate(offer: string): Promise<string> {
    return attempt(() => {
      const negotiated = this.#parts.negotiate(offer);
      this.#version += 1;
      this.#stream = negotiated.stream;
      this.localSdp = negotiated.answer(this.#local());
      return this.localSdp;
    });
  }

  reoffer(): string {
    this.#version += 1;
    this.localSdp = writeOffer(this.#local(), this.#parts.codecs);
    return this.localSdp;
  }

  replace(): Promise<MediaLeg> {
    return Promise.reject(new MediaUnavailable('the bridge has no other RTP than its own'));
  }

  close(): Promise<void> {
    // The RTP port belongs to the bridge, which gives it back itself.
    return Promise.resolve();
  }

  #local(): LocalDescription {
    return { sessionId: this.#sessionId, version: this.#version, rtp: this.#parts.rtp, rtcpMux: true };
  }
}

/** Runs what throws as what rejects. */
function attempt<T>(work: () => T): Promise<T> {
  return new Promise((resolve) => {
    resolve(work());
  });
}
