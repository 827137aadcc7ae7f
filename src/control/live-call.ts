import type { BridgeStats } from '../bridge/stats.js';
import type { CallFacts } from '../events/call-record.js';
import type { CallState } from './call-state.js';

/** A call in progress, as the controller shows it to `/calls`. */
export interface LiveCall extends CallFacts {
  readonly state: CallState;
  /** Since the INVITE. */
  readonly durationMs: number;
  /** The address the caller's signalling comes from. */
  readonly sipSource: string;
  /** A few seconds old at most; absent until the first figures came. */
  readonly media?: BridgeStats;
}
