import type { G711Law } from './g711.js';

/**
 * Encoding names (RFC 3551) of what RTP carries to and from the bridge: G.711 at 8 kHz, G.722 at 16 kHz and 64 kbit/s, or
 * linear 16-bit PCM at 16 kHz in network byte order.
 */
export type StreamEncoding = 'PCMU' | 'PCMA' | 'G722' | 'L16';

/** The encodings that carry 8 kHz, each a law of G.711. */
export const NARROWBAND = { PCMU: 'mulaw', PCMA: 'alaw' } as const satisfies Partial<Record<StreamEncoding, G711Law>>;

export type NarrowbandEncoding = keyof typeof NARROWBAND;

export const isNarrowband = (encoding: StreamEncoding): encoding is NarrowbandEncoding => encoding in NARROWBAND;
