/** What a log line carries beside its level; `event` is the stable dotted name operators search for. */
export type LogFields = Record<string, unknown> & { event: string };

/** The logging the product needs. `ops/log.ts` implements it with pino; tests collect the lines. */
export interface Logger {
  debug(fields: LogFields, message?: string): void;
  info(fields: LogFields, message?: string): void;
  warn(fields: LogFields, message?: string): void;
  error(fields: LogFields, message?: string): void;
  /** A logger whose every line also carries `fields`. */
  child(fields: Record<string, unknown>): Logger;
}
