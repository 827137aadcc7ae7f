import type { LiveCall } from '../control/live-call.js';
import type { AudioReport } from '../events/call-record.js';
import { audioReport } from './audio-report.js';

/** `GET /calls`: a call in progress. */
export interface CallSnapshot extends Omit<LiveCall, 'sipSource'>, AudioReport {}

export function snapshotOf({ sipSource, media, ...call }: LiveCall): CallSnapshot {
  return { ...call, ...audioReport(media, sipSource), ...(media && { media }) };
}
