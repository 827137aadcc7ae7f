import type { BridgeMedia } from '../../src/bridge/messages.js';
import type { AcceptedOffer, MediaLeg } from '../../src/media/engine.js';
import type { CodecName } from '../../src/media/sdp.js';

/** What a test settles in place of a media server. */
export interface Pending<T> {
  resolve(value: T): void;
  reject(error: Error): void;
}

/** A leg without a media server: it notes what it is asked, and the test answers. */
export class FakeLeg implements MediaLeg {
  codec: CodecName | undefined;
  media: BridgeMedia | undefined;
  onLost: ((detail: string) => void) | undefined;
  localSdp: string;

  readonly answers: string[] = [];
  readonly offers: string[] = [];
  closes = 0;
  /** Thrown by whatever is asked next. */
  fault: Error | undefined;
  replacement: Pending<MediaLeg> | undefined;

  constructor(name: string, media?: BridgeMedia) {
    this.localSdp = `sdp of ${name}`;
    this.media = media;
    this.codec = media ? 'PCMU' : undefined;
  }

  /** The offer this leg is the answer to. */
  get offer(): AcceptedOffer {
    return { connect: () => Promise.resolve(this) };
  }

  acceptAnswer(sdp: string): Promise<void> {
    this.answers.push(sdp);
    if (this.fault) return Promise.reject(this.fault);
    this.media ??= mediaOn(5_000);
    return Promise.resolve();
  }

  renegotiate(offer: string): Promise<string> {
    this.offers.push(offer);
    return this.fault ? Promise.reject(this.fault) : Promise.resolve(`answer to ${offer}`);
  }

  reoffer(): string {
    return `new ${this.localSdp}`;
  }

  replace(): Promise<MediaLeg> {
    return new Promise((resolve, reject) => (this.replacement = { resolve, reject }));
  }

  close(): Promise<void> {
    this.closes += 1;
    return Promise.resolve();
  }
}

export function mediaOn(port: number): BridgeMedia {
  const remote = { address: '192.0.2.7', port };
  return { encoding: 'PCMU', payloadType: 0, remote, sending: true, receiving: true };
}
