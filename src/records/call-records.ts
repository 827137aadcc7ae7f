import type { CallEventBus, CallSubscriber } from '../events/call-event-bus.js';
import type { CallEventOf } from '../events/call-events.js';
import type { CallRecord } from '../events/call-record.js';
import { audioReport } from './audio-report.js';

/** Makes the record of every call that is over, and publishes it: `call.ended`, and before that `call.rejected`. */
export function callRecords(events: CallEventBus): CallSubscriber {
  return (event) => {
    if (event.event !== 'call.closed') return;
    const { call, atMs, wallMs } = event;
    const stamp = { call, atMs, wallMs };
    const record = recordOf(event);
    if (isRejected(record)) events.publish({ event: 'call.rejected', record, ...stamp });
    events.publish({ event: 'call.ended', record, ...stamp });
  };
}

/** A caller who hangs up before the answer was not refused. */
function isRejected({ answeredAt, endedBy }: CallRecord): boolean {
  return answeredAt === undefined && endedBy !== 'caller';
}

function recordOf({ call, wallMs, end, durationMs, sipSource, stats }: CallEventOf<'call.closed'>): CallRecord {
  const { interruptions = [], reconnects = 0, uplink, downlink, firstAudioMs } = stats ?? {};
  return {
    ...call,
    ...{ endedAt: new Date(wallMs).toISOString(), durationMs },
    ...end,
    ...audioReport(stats, sipSource),
    ...{ interruptions, reconnects },
    ...(uplink && { uplink }),
    ...(downlink && { downlink }),
    ...(firstAudioMs !== undefined && { firstAudioMs }),
  };
}
