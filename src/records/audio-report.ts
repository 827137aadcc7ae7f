import type { BridgeStats } from '../bridge/stats.js';
import type { AudioReport } from '../events/call-record.js';
import { qualityOf } from './quality.js';
import { verdictOf } from './verdict.js';

/** What a call's figures say of its audio. `sipSource` is the address the caller's signalling comes from. */
export function audioReport(stats: BridgeStats | undefined, sipSource: string): AudioReport {
  const verdict = stats && verdictOf(stats, sipSource);
  const quality = stats && qualityOf(stats);
  return { ...(verdict !== undefined && { verdict }), ...(quality && { quality }) };
}
