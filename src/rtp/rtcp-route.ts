import type { TransportAddress } from './source-latch.js';

/** Where the SDP has our RTCP go: to the RTP's own port (RFC 5761), or to an address of its own (RFC 3605). */
export type RtcpRemote = 'mux' | TransportAddress;

/**
 * Where RTCP goes and from whom it is taken, in view of where RTP goes. A report is not worth a latch of its own: it is
 * taken from the host the RTP comes from, and from nobody else.
 */
export class RtcpRoute {
  #remote: RtcpRemote | undefined;
  #seen: TransportAddress | undefined;

  /** What the SDP says, `undefined` for RFC 3550's default: the port after the RTP's. */
  set remote(remote: RtcpRemote | undefined) {
    this.#remote = remote;
  }

  /** RTCP goes over the RTP socket. */
  get isMuxed(): boolean {
    return this.#remote === 'mux';
  }

  /** Whether RTCP from `address` is the call's, while RTP goes to `rtp`. Remembers where from, if it is. */
  admit(address: string, port: number, rtp: TransportAddress | undefined): boolean {
    if (rtp?.address !== address || port === 0) return false;
    if (this.#seen?.address !== address || this.#seen.port !== port) this.#seen = { address, port };
    return true;
  }

  /**
   * Where to send RTCP that is not muxed: to where the other side's comes from (RFC 4961), or while none has come, to the
   * SDP's address. Behind a NAT that address leads nowhere, and the port after the RTP's is as good a guess as any.
   */
  target(rtp: TransportAddress | undefined): TransportAddress | undefined {
    if (!rtp) return undefined;
    if (this.#seen?.address === rtp.address) return this.#seen;
    const told = this.#remote === 'mux' ? undefined : this.#remote;
    if (told?.address === rtp.address) return told;
    return rtp.port < 65_535 ? { address: rtp.address, port: rtp.port + 1 } : undefined;
  }
}
