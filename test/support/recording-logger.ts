import type { LogFields, Logger } from '../../src/logger.js';

export interface LogLine extends LogFields {
  readonly level: 'debug' | 'info' | 'warn' | 'error';
}

/** Keeps every line. */
export class RecordingLogger implements Logger {
  readonly lines: LogLine[];
  readonly #fields: Record<string, unknown>;

  constructor(fields: Record<string, unknown> = {}, lines: LogLine[] = []) {
    this.#fields = fields;
    this.lines = lines;
  }

  debug(fields: LogFields): void {
    this.lines.push({ ...this.#fields, ...fields, level: 'debug' });
  }

  info(fields: LogFields): void {
    this.lines.push({ ...this.#fields, ...fields, level: 'info' });
  }

  warn(fields: LogFields): void {
    this.lines.push({ ...this.#fields, ...fields, level: 'warn' });
  }

  error(fields: LogFields): void {
    this.lines.push({ ...this.#fields, ...fields, level: 'error' });
  }

  child(fields: Record<string, unknown>): Logger {
    return new RecordingLogger({ ...this.#fields, ...fields }, this.lines);
  }

  /** The lines of one event, of all calls or of one. */
  of(event: string, callId?: string): LogLine[] {
    return this.lines.filter((line) => line.event === event && (callId === undefined || line['callId'] === callId));
  }
}
