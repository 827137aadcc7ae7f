import type { BridgeMedia } from '../messages.js';

/** So long the first words wait for the caller to show where it is. */
const MAX_WAIT_MS = 500;

/**
 * Whether what is played would get to the caller. Where its SDP gives no address (a host name, or 0.0.0.0), or one behind NAT,
 * its own RTP shows the way; what was sent before would be lost, and with it a greeting's first words.
 */
export class WayToCaller {
  #isOpen = false;

  /** @returns whether to play. Once true, it stays so. */
  isOpen(media: BridgeMedia | undefined, isProven: boolean, waitedMs: number): boolean {
    this.#isOpen ||= isProven || waitedMs >= MAX_WAIT_MS || (media?.remote !== undefined && !media.remoteIsDoubtful);
    return this.#isOpen;
  }
}
