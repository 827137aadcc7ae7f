import type { IncomingHttpHeaders } from 'node:http';

/** An hour: whoever is told more would leave the bridge alone for longer than an outage lasts. */
const MAX_SEC = 3_600;

/**
 * `Retry-After` (RFC 9110 §10.2.3) in seconds, 1 to 3600: a number of seconds, or a date, which is taken against the
 * answer's own `Date`, for two machines' clocks differ. Undefined when there is none that can be read.
 * @param wallMs the time of day in milliseconds since 1970, where the answer does not tell its own.
 */
export function retryAfterSec(headers: IncomingHttpHeaders, wallMs: number): number | undefined {
  const text = headers['retry-after']?.trim() ?? '';
  const seconds = /^\d{1,10}$/.test(text) ? Number(text) : secondsUntil(text, dateOf(headers.date) ?? wallMs);
  return seconds === undefined ? undefined : Math.min(MAX_SEC, Math.max(1, seconds));
}

function secondsUntil(date: string, nowMs: number): number | undefined {
  const thenMs = dateOf(date);
  return thenMs === undefined ? undefined : Math.ceil((thenMs - nowMs) / 1_000);
}

/** The three forms of RFC 9110 §5.6.7 all begin with the name of a day; `Date.parse` alone takes much that is no date. */
function dateOf(text: string | undefined): number | undefined {
  if (text === undefined || !/^(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)[a-z]*,? [\w :-]{10,40}$/.test(text)) return undefined;
  // The oldest of them (asctime) names no zone, and means the same one.
  const ms = Date.parse(text.endsWith('GMT') ? text : `${text} GMT`);
  return Number.isNaN(ms) ? undefined : ms;
}
