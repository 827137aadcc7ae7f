import type { StreamEncoding } from '../audio/encodings.js';
import { COMFORT_NOISE_PAYLOAD_TYPE } from '../rtp/packet.js';
import type { BridgeMedia } from './messages.js';

/** What a payload type may carry. */
export type Carried = StreamEncoding | 'telephone-event' | 'comfort-noise';

/** What each payload type of the caller's carries, by what was agreed on. */
export class PayloadTypes {
  readonly #carried: (Carried | undefined)[] = [];

  constructor(media?: BridgeMedia) {
    if (!media) return;
    this.#carried[COMFORT_NOISE_PAYLOAD_TYPE] = 'comfort-noise';
    for (const { payloadType, carries } of media.accepted ?? []) this.#carried[payloadType] = carries;
    if (media.telephoneEventPayloadType !== undefined) {
      this.#carried[media.telephoneEventPayloadType] = 'telephone-event';
    }
    this.#carried[media.payloadType] = media.encoding;
  }

  /** Undefined for one that was not agreed on. */
  carriedBy(payloadType: number): Carried | undefined {
    return this.#carried[payloadType];
  }
}
