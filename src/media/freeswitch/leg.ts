import { randomInt } from 'node:crypto';
import type { StreamEncoding } from '../../audio/encodings.js';
import type { BridgeMedia, TransportAddress } from '../../bridge/messages.js';
import type { MediaLeg } from '../engine.js';
import {
  negotiateOffer,
  readAnswer,
  writeOffer,
  type CodecName,
  type CodecOrder,
  type LocalDescription,
  type NegotiatedOffer,
  type NegotiatedStream,
} from '../sdp.js';
import type { MrfEndpoint } from './fsmrf-types.js';
import type { FreeSwitchServer } from './server.js';

export interface FreeSwitchLegParts {
  readonly server: FreeSwitchServer;
  /** The channel towards the caller, and the one towards the bridge's RTP; bridged. */
  readonly caller: MrfEndpoint;
  readonly bridge: MrfEndpoint;
  /** What the bridge's RTP carries. */
  readonly encoding: StreamEncoding;
  /** FreeSWITCH's address for the caller. It keeps its own towards us: behind NAT we could not reach the other. */
  readonly advertise: string | undefined;
  readonly codecs: readonly CodecName[];
  /** Whose order decides about an offer of the caller's. */
  readonly codecOrder: CodecOrder;
  /** For offers of our own. */
  readonly offeredCodecs: readonly StreamEncoding[];
  readonly negotiated: NegotiatedOffer | undefined;
  /** The address the caller's signalling comes from; '' when it is not known. */
  readonly peerAddress: string;
  /** Throws SdpError where the caller wants its RTP where none is sent to. */
  readonly checkTarget: (stream: NegotiatedStream) => void;
  readonly replaceWith: (lastOffer: string | undefined) => Promise<MediaLeg>;
}

/**
 * A caller on FreeSWITCH. Its SDP is written by us, with FreeSWITCH's address in it, so that the caller sees the same
 * answers whichever engine is behind. Owns both channels; either one's death is the leg's loss.
 */
export class FreeSwitchLeg implements MediaLeg {
  localSdp: string;
  onLost: ((detail: string) => void) | undefined;

  readonly #parts: FreeSwitchLegParts;
  readonly #toCaller: TransportAddress;
  readonly #toBridge: NegotiatedStream;
  readonly #sessionId = randomInt(1, 2 ** 31);
  readonly #stopWatching: () => void;
  #version = 1;
  #stream: NegotiatedStream | undefined;
  #lastOffer: string | undefined;
  #closed: Promise<void> | undefined;
  #lost = false;

  /** Throws SdpError when FreeSWITCH's own SDP cannot be used. */
  constructor(parts: FreeSwitchLegParts) {
    this.#parts = parts;
    const { server, caller, bridge, encoding, negotiated, offeredCodecs } = parts;
    const rtp = rtpAddressOf(caller, parts.codecs);
    this.#toCaller = { ...rtp, address: parts.advertise ?? rtp.address };
    this.#toBridge = readAnswer(bridge.local.sdp, [encoding]);
    this.#stream = negotiated?.stream;
    this.#lastOffer = negotiated?.onlyStream();
    this.localSdp = negotiated ? negotiated.answer(this.#local()) : writeOffer(this.#local(), offeredCodecs);
    const onGone = (detail?: { reason?: string }): void =>
      this.#onGone(`FreeSWITCH ${server.name} ended the channel${detail?.reason ? ` (${detail.reason})` : ''}`);
    caller.on('destroy', onGone);
    bridge.on('destroy', onGone);
    const stopWatchingServer = server.onLost(() => this.#onGone(`FreeSWITCH ${server.name}: ${server.detail}`));
    this.#stopWatching = () => {
      stopWatchingServer();
      caller.off('destroy', onGone);
      bridge.off('destroy', onGone);
    };
  }

  get codec(): CodecName | undefined {
    return this.#stream?.codec;
  }

  /** The caller's wishes (hold) on the stream between FreeSWITCH and the bridge. */
  get media(): BridgeMedia | undefined {
    if (!this.#stream) return undefined;
    const { sending, receiving, remote } = this.#stream;
    const { encoding, peerAddress } = this.#parts;
    // FreeSWITCH stands for the caller: where its RTP goes to the host that the SIP comes from, so does ours.
    const peer = remote?.address === peerAddress ? this.#toBridge.remote?.address : undefined;
    // FreeSWITCH sends from the address it has named.
    return {
      ...this.#toBridge,
      encoding,
      latch: 'expected',
      sending,
      receiving,
      ...(peer === undefined ? {} : { peer }),
    };
  }

  async acceptAnswer(sdp: string): Promise<void> {
    const negotiated = negotiateOffer(sdp, this.#parts.codecs);
    await this.#tellFreeSwitch(negotiated);
  }

  async renegotiate(offer: string): Promise<string> {
    const negotiated = negotiateOffer(offer, this.#parts.codecs, { order: this.#parts.codecOrder });
    await this.#tellFreeSwitch(negotiated);
    this.#version += 1;
    this.localSdp = negotiated.answer(this.#local());
    return this.localSdp;
  }

  reoffer(): string {
    this.#version += 1;
    this.localSdp = writeOffer(this.#local(), this.#parts.offeredCodecs);
    return this.localSdp;
  }

  async replace(): Promise<MediaLeg> {
    return await this.#parts.replaceWith(this.#lastOffer);
  }

  close(): Promise<void> {
    this.#stopWatching();
    const { server, caller, bridge } = this.#parts;
    this.#closed ??= Promise.all([server.destroyEndpoint(caller), server.destroyEndpoint(bridge)]).then(
      () => undefined,
    );
    return this.#closed;
  }

  /** FreeSWITCH is re-INVITEd with the caller's stream; its own address stays. */
  async #tellFreeSwitch(negotiated: NegotiatedOffer): Promise<void> {
    const { server, caller, checkTarget } = this.#parts;
    checkTarget(negotiated.stream);
    const offer = negotiated.onlyStream();
    await server.request(caller.modify(offer), 're-INVITE');
    this.#lastOffer = offer;
    this.#stream = negotiated.stream;
  }

  #onGone(detail: string): void {
    if (this.#lost || this.#closed) return;
    this.#lost = true;
    this.onLost?.(detail);
  }

  #local(): LocalDescription {
    return { sessionId: this.#sessionId, version: this.#version, rtp: this.#toCaller };
  }
}

function rtpAddressOf(endpoint: MrfEndpoint, codecs: readonly CodecName[]): TransportAddress {
  const { remote } = readAnswer(endpoint.local.sdp, codecs);
  if (!remote) throw new Error('FreeSWITCH gave no RTP address');
  return remote;
}
