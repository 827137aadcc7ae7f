import { randomInt } from 'node:crypto';
import type { StreamEncoding } from '../audio/encodings.js';
import type { Scheduler, Ticking } from '../bridge/scheduler.js';
import { negotiateOffer, offeredPayloadType, readAnswer, writeOffer, type NegotiatedStream } from '../media/sdp.js';
import type { RtpEndpoint } from '../rtp/endpoint.js';
import { RTP_HEADER_BYTES, type RtpPacket } from '../rtp/packet.js';
import { RtpSender } from '../rtp/sender.js';
import { HeardAudio } from './heard-audio.js';
import { createPhoneCodec, type PhoneCodec } from './phone-codec.js';
import { SpokenAudio } from './spoken-audio.js';

const FRAME_MS = 20;

export interface CallAudioOptions {
  readonly codec: StreamEncoding;
  /** Our address as the callee reaches it, for the SDP. */
  readonly address: string;
  /** Recorded at most, in each direction. */
  readonly maxRecordMs: number;
  readonly scheduler: Scheduler;
  readonly openRtp: (onPacket: (packet: RtpPacket, nowMs: number) => void) => Promise<RtpEndpoint>;
}

/**
 * One test call's RTP: a packet every 20 ms from `start` on, silence unless something is played, and a record of what
 * comes. It owns its socket and its place in the scheduler; `close` lets go of both.
 */
export class CallAudio implements Ticking {
  readonly heard: HeardAudio;
  readonly spoken: SpokenAudio;
  readonly #options: CallAudioOptions;
  readonly #codec: PhoneCodec;
  readonly #sender: RtpSender;
  readonly #frame: Int16Array;
  readonly #sessionId = randomInt(1, 2 ** 31);
  #sdpVersion = 1;
  #localSdp = '';
  #endpoint: RtpEndpoint | undefined;
  #stopTicking: (() => void) | undefined;
  #media: NegotiatedStream | undefined;
  #otherPayloads = 0;
  #firstSentAtMs: number | undefined;

  constructor(options: CallAudioOptions) {
    this.#options = options;
    this.#codec = createPhoneCodec(options.codec);
    const { payloadBytes, unitsPerMs, rateHz } = this.#codec;
    this.#sender = new RtpSender({ payloadType: 0, payloadBytes, samplesPerPacket: FRAME_MS * unitsPerMs });
    this.#frame = new Int16Array((rateHz * FRAME_MS) / 1_000);
    this.heard = new HeardAudio(this.#codec, options.maxRecordMs / FRAME_MS);
    this.spoken = new SpokenAudio((options.maxRecordMs / 1_000) * rateHz);
  }

  /** Of all samples said and heard: the codec's own. */
  get rateHz(): number {
    return this.#codec.rateHz;
  }

  get sentPackets(): number {
    return this.#sender.packets;
  }

  /** When the first packet was sent. */
  get firstSentAtMs(): number | undefined {
    return this.#firstSentAtMs;
  }

  /** Datagrams that were no RTP, came from somebody else, or were of another payload type (telephone-events). */
  get foreignPackets(): number {
    const { ignoredSource = 0, malformed = 0 } = this.#endpoint?.stats ?? {};
    return this.#otherPayloads + ignoredSource + malformed;
  }

  /** Opens the socket. Resolves to the offer. */
  async open(): Promise<string> {
    this.#endpoint = await this.#options.openRtp((packet, nowMs) => this.#onPacket(packet, nowMs));
    // RFC 3264 section 5.1: media may come as soon as the offer is sent, and may be faster than the answer.
    this.#endpoint.setRemote({ address: '0.0.0.0', port: 0, latch: 'any' });
    this.#localSdp = writeOffer(this.#local(), [this.#options.codec]);
    return this.#localSdp;
  }

  /** Sends and receives from now on, as agreed in the callee's answer. Throws SdpError. */
  start(answer: string): void {
    this.#useMedia(readAnswer(answer, [this.#options.codec]));
    this.#stopTicking = this.#options.scheduler.add(this);
  }

  /** The answer to the callee's new offer, or our description as it is when there is no offer. Throws SdpError. */
  renegotiate(offer: string | undefined): string {
    if (offer === undefined) return this.#localSdp;
    const negotiated = negotiateOffer(offer, [this.#options.codec]);
    this.#useMedia(negotiated.stream);
    this.#sdpVersion += 1;
    this.#localSdp = negotiated.answer(this.#local());
    return this.#localSdp;
  }

  /** Stops sending and receiving; the records stay. Idempotent. */
  close(): void {
    this.#stopTicking?.();
    this.#endpoint?.close();
    this.spoken.stop();
  }

  /** Both directions on one time axis, which begins with the first packet of either. */
  recording(): { sent: Int16Array; heard: Int16Array } {
    const sentFromMs = this.#firstSentAtMs ?? Infinity;
    const heardFromMs = this.heard.packets[0]?.arrivedMs ?? Infinity;
    const startMs = Math.min(sentFromMs, heardFromMs);
    return {
      sent: this.#delayed(this.spoken.timeline(), sentFromMs - startMs),
      heard: this.#delayed(this.heard.timeline(), heardFromMs - startMs),
    };
  }

  tick(nowMs: number): void {
    if (!this.#media?.sending) {
      this.skip(1);
      return;
    }
    this.spoken.next(this.#frame);
    const packet = this.#sender.nextPacket();
    this.#codec.encode(this.#frame, packet, RTP_HEADER_BYTES);
    this.#firstSentAtMs ??= nowMs;
    this.#endpoint?.send(packet);
  }

  skip(ticks: number): void {
    for (let i = 0; i < ticks; i++) this.#sender.skip();
    this.spoken.pass(ticks * this.#frame.length);
  }

  #local(): Parameters<typeof writeOffer>[0] {
    const rtp = { address: this.#options.address, port: this.#endpoint?.port ?? 0 };
    return { sessionId: this.#sessionId, version: this.#sdpVersion, rtp };
  }

  #useMedia(media: NegotiatedStream): void {
    this.#media = media;
    this.#sender.setPayloadType(media.payloadType);
    if (media.remote) this.#endpoint?.setRemote({ ...media.remote, latch: 'any' });
  }

  #onPacket(packet: RtpPacket, nowMs: number): void {
    const expected = this.#media?.payloadType ?? offeredPayloadType(this.#options.codec);
    if (packet.payloadType === expected) this.heard.add(packet, nowMs);
    else this.#otherPayloads += 1;
  }

  #delayed(samples: Int16Array, byMs: number): Int16Array {
    if (!Number.isFinite(byMs)) return samples;
    const offset = Math.round((byMs * this.rateHz) / 1_000);
    const shifted = new Int16Array(offset + samples.length);
    shifted.set(samples, offset);
    return shifted;
  }
}
