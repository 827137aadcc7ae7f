import { randomInt } from 'node:crypto';
import { isIP } from 'node:net';
import type { StreamEncoding } from '../audio/encodings.js';
import type { BridgeMedia, TransportAddress } from '../bridge/messages.js';
import ipaddr from 'ipaddr.js';
import {
  MediaUnavailable,
  type AcceptedOffer,
  type AdvertisedTo,
  type BridgeAddress,
  type MediaEngine,
  type MediaLeg,
} from './engine.js';
import { RtpTargets } from './rtp-targets.js';
import {
  negotiateOffer,
  readAnswer,
  writeOffer,
  type CodecOrder,
  type IpFamily,
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
  /** Where callers may have their RTP; by default wherever none of the bridge's own ports is known to be. */
  readonly targets?: RtpTargets;
}

/** The caller's RTP comes straight to the bridge's port. */
export class EmbeddedMediaEngine implements MediaEngine {
  readonly name = 'embedded';
  readonly #options: EmbeddedMediaOptions;
  readonly #targets: RtpTargets;

  constructor(options: EmbeddedMediaOptions) {
    this.#options = options;
    this.#targets = options.targets ?? new RtpTargets({ own: [] });
  }

  accept(offer: string | undefined, offeredBy = ''): AcceptedOffer {
    const negotiated = offer === undefined ? undefined : this.#negotiate(offer);
    if (negotiated) this.#targets.check(negotiated.stream, offeredBy);
    return {
      codec: negotiated?.stream.codec ?? this.#options.codecs[0],
      connect: (bridgePort, localAddress, peerAddress = offeredBy) =>
        Promise.resolve(this.leg({ bridgePort, localAddress, peerAddress }, negotiated)),
    };
  }

  /** The leg itself; without a negotiated offer it makes one. */
  leg(at: BridgeAddress, negotiated?: NegotiatedOffer): MediaLeg {
    const { codecs } = this.#options;
    const rtp = { address: this.#addressFor(at), port: at.bridgePort };
    const { peerAddress } = at;
    const parts = {
      codecs,
      rtp,
      family: this.#family,
      negotiate: this.#negotiate,
      targets: this.#targets,
      peerAddress,
    };
    return new EmbeddedMediaLeg(parts, negotiated);
  }

  readonly #negotiate = (offer: string): NegotiatedOffer =>
    negotiateOffer(offer, this.#options.codecs, { order: this.#options.codecOrder, family: this.#family });

  /** What addresses we can send to: of both kinds from `::`. */
  get #family(): IpFamily | undefined {
    const { bind } = this.#options;
    return bind === '::' ? undefined : isIP(bind) === 6 ? 6 : 4;
  }

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
  readonly family: IpFamily | undefined;
  readonly negotiate: (offer: string) => NegotiatedOffer;
  readonly targets: RtpTargets;
  /** The address the caller's signalling comes from; '' when it is not known. */
  readonly peerAddress: string;
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
    const { peerAddress } = this.#parts;
    const remote = this.#stream?.remote?.address;
    const peer = peerAddress === '' ? {} : { peer: peerAddress };
    const doubt = remote !== undefined && isBehindNat(remote, peerAddress) ? { remoteIsDoubtful: true } : {};
    return this.#stream && codec && { ...this.#stream, encoding: codec, ...peer, ...doubt };
  }

  acceptAnswer(sdp: string): Promise<void> {
    return attempt(() => {
      const stream = readAnswer(sdp, this.#parts.codecs, this.#parts.family);
      this.#parts.targets.check(stream, this.#parts.peerAddress);
      this.#stream = stream;
    });
  }

  renegotiate(offer: string): Promise<string> {
    return attempt(() => {
      const negotiated = this.#parts.negotiate(offer);
      this.#parts.targets.check(negotiated.stream, this.#parts.peerAddress);
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

/** An address of a private network, while the SIP came from elsewhere. */
function isBehindNat(address: string, peerAddress: string): boolean {
  return peerAddress !== '' && address !== peerAddress && ipaddr.process(address).range() !== 'unicast';
}

/** Runs what throws as what rejects. */
function attempt<T>(work: () => T): Promise<T> {
  return new Promise((resolve) => resolve(work()));
}
