import type { CallSubscriber } from '../events/call-event-bus.js';
import type { CallEvent, CallEventOf } from '../events/call-events.js';
import type { CallFacts } from '../events/call-record.js';
import type { LogFields, Logger } from '../logger.js';

/** Writes the log's lines of calls. */
export function callLog(logger: Logger): CallSubscriber {
  return (event) => {
    const write = LINES[event.event] as ((event: CallEvent, logger: Logger) => void) | undefined;
    write?.(event, logger);
  };
}

/** What an operator must act on is not buried among what is everyday. */
const LEVEL_OF_OUTCOME = {
  completed: 'info',
  client_error: 'info',
  server_error: 'warn',
  upstream_error: 'warn',
} as const;

type Lines = {
  readonly [E in CallEvent['event']]: ((event: CallEventOf<E>, logger: Logger) => void) | undefined;
};

/** A line for each kind of event; undefined for those the log does not have. */
const LINES: Lines = {
  'call.received': ({ event, call, source, registration }, logger) => {
    const { callId, from, fromName, assertedIdentity, to, did } = call;
    const over = registration === undefined ? {} : { registration };
    logger.info({ event, callId, from, fromName, assertedIdentity, to, did, source, ...over });
  },
  'call.routed': ({ event, call: { callId, did, route, agentId, workflowId, mode } }, logger) =>
    logger.info({ event, callId, did, route, agentId, workflowId, mode }),
  'call.answered': ({ event, call, setupMs }, logger) => logger.info(line(call, { event, codec: call.codec, setupMs })),

  'agent.connecting': undefined,
  'agent.connected': ({ event, call, connectMs, startMs }, logger) =>
    logger.info(
      line(call, { event, ...agentOf(call), connectMs: Math.round(connectMs), startMs: Math.round(startMs) }),
    ),
  'agent.failed': ({ event, call, detail }, logger) => logger.warn(line(call, { event, ...agentOf(call), detail })),
  'agent.reconnecting': ({ event, call, attempt, delayMs, detail }, logger) =>
    logger.warn(line(call, { event, attempt, delayMs: Math.round(delayMs), detail })),
  'agent.reconnected': ({ event, call, outageMs }, logger) =>
    logger.info(line(call, { event, outageMs: Math.round(outageMs) })),
  'agent.ended': undefined,

  'agent.interrupted': ({ event, call, reactionMs, discardedMs }, logger) =>
    logger.info(line(call, { event, reactionMs, discardedMs })),
  'agent.queue_full': ({ event, call, queuedMs }, logger) =>
    logger.warn(line(call, { event, queuedMs }), 'what the agent says on top is lost'),
  'call.dtmf': ({ event, call, path, digit }, logger) =>
    logger.info(line(call, { event, path, ...(digit === undefined ? {} : { digit }) })),
  'call.max_duration_near': ({ event, call, leftMs }, logger) => logger.warn(line(call, { event, leftMs })),
  'call.farewell_cut': ({ event, call, leftMs }, logger) =>
    logger.warn(line(call, { event, leftMs: Math.round(leftMs) })),

  'call.transferring': ({ event, call, referTo }, logger) => logger.info(line(call, { event, referTo })),
  'call.transfer_progress': ({ event, call, status }, logger) => logger.debug(line(call, { event, status })),
  'call.transfer_failed': ({ event, call, detail }, logger) => logger.warn(line(call, { event, detail })),

  'call.replaced': ({ event, call, replacedBy, from, source }, logger) =>
    logger.info(line(call, { event, replacedBy, from, source, codec: call.codec })),
  'call.replace_failed': ({ event, call, replacedBy, from, source, detail }, logger) =>
    logger.warn(line(call, { event, replacedBy, from, source, detail })),

  'call.renegotiated': ({ event, call, sending }, logger) =>
    logger.info(line(call, { event, codec: call.codec, sending })),
  'call.media_lost': ({ event, call, detail }, logger) => logger.warn(line(call, { event, detail })),
  'call.media_replaced': ({ event, call }, logger) => logger.info(line(call, { event, codec: call.codec })),
  'call.stats': undefined,

  'call.error': ({ event, call, err }, logger) => logger.error(line(call, { event, err })),
  'call.input_ignored': ({ event, call, state, input }, logger) => logger.debug(line(call, { event, state, input })),

  'call.closed': undefined,
  'call.rejected': ({ event, record }, logger) => {
    const { callId, from, did, route, sipStatus, reason, detail } = record;
    logger.warn({ event, callId, from, did, route, sipStatus, reason, detail });
  },
  'call.ended': ({ event, record }, logger) => logger[LEVEL_OF_OUTCOME[record.outcome]]({ event, ...record }),
};

const line = ({ callId }: CallFacts, fields: LogFields): LogFields => ({ callId, ...fields });

const agentOf = ({ agentId, workflowId }: CallFacts): Pick<CallFacts, 'agentId' | 'workflowId'> => ({
  ...(agentId !== undefined && { agentId }),
  ...(workflowId !== undefined && { workflowId }),
});
