import { createRequire } from 'node:module';
import { pino } from 'pino';
import type { DestinationStream, Logger as Pino } from 'pino';
import type * as PinoPretty from 'pino-pretty';
import { systemClock } from '../clock.js';
import { withoutUriPasswords } from '../addresses/number.js';
import type { LogLevel } from '../config/types.js';
import { errorText } from '../error-text.js';
import type { LogFields, Logger } from '../logger.js';
import { standardOutput } from './log-outlet.js';
import { escapeControls, keepEscaped } from './log-text.js';
import { LogWriter } from './log-writer.js';
import type { LogState } from './log-writer.js';
import { redactNumbersInJson } from './redact-numbers.js';

export interface LogOptions {
  readonly level: LogLevel;
  /** For a person at a terminal, instead of one JSON object a line. */
  readonly pretty: boolean;
  /** Masks phone numbers, but for their last two digits, in every field. */
  readonly redactNumbers: boolean;
  /** Texts that no line may contain, such as API keys. */
  readonly secrets?: readonly string[];
  /** Standard output unless given. */
  readonly destination?: DestinationStream;
}

export interface Log {
  /** The root of all loggers. Neither waits nor throws, whatever it is given and whatever became of the output. */
  readonly logger: Logger;
  /** For this logger and all its children. */
  readonly setLevel: (level: LogLevel) => void;
  /** Replaces the texts that no line may contain. */
  readonly setSecrets: (secrets: readonly string[]) => void;
  /** How the lines fare on their way out. */
  readonly state: () => LogState;
  /** Resolves when all lines are written, but after a second at the latest: to be waited for before the process ends. */
  readonly flush: () => Promise<void>;
}

const CENSORED = '[redacted]';
/** A shorter secret, were it replaced wherever it occurs, would tear ordinary words apart. */
const MIN_SECRET_LENGTH = 8;
const SECRET_FIELDS = ['apiKey', 'secret', 'password', 'authorization', '["x-api-key"]'];

/** A longer line is left out: somebody logged what nobody reads. */
const MAX_LINE_LENGTH = 64 * 1024;
const FLUSH_LIMIT_MS = 1_000;

/** The product's log: JSON lines with `event`, ISO `time` and `level` by name. */
export function createLog(options: LogOptions): Log {
  const writer = options.destination ? undefined : standardWriter();
  const destination = options.destination ?? standardWriter();
  let secrets = secretPatterns(options.secrets ?? []);
  const pinoLogger = pino(
    {
      level: options.level,
      // Whoever collects the lines knows host and process.
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      serializers: { error: pino.stdSerializers.err },
      redact: { paths: SECRET_FIELDS.flatMap((field) => [field, inAnyObject(field)]), censor: CENSORED },
      hooks: { streamWrite: (line) => cleaned(line, secrets, options.redactNumbers) },
    },
    options.pretty ? prettified(destination) : destination,
  );
  const logger = new SafeLogger(pinoLogger, (why) => writer?.noteLost(why));
  if (writer) {
    writer.onRecovered = (lines, detail) =>
      logger.warn({ event: 'log.dropped', lines, detail }, 'lines of the log were lost here');
  }
  return {
    logger,
    setLevel(level) {
      pinoLogger.level = level;
    },
    setSecrets(texts) {
      secrets = secretPatterns(texts);
    },
    state: () => writer?.state() ?? { status: 'ok', droppedLines: 0, detail: 'written' },
    flush: () => writer?.flush(FLUSH_LIMIT_MS) ?? Promise.resolve(),
  };
}

/** A mistake in a line is said in its place: whoever logs is in the middle of a call. */
class SafeLogger implements Logger {
  readonly #pino: Pino;
  readonly #onLost: (why: string) => void;

  constructor(pinoLogger: Pino, onLost: (why: string) => void) {
    this.#pino = pinoLogger;
    this.#onLost = onLost;
  }

  debug(fields: LogFields, message?: string): void {
    this.#write('debug', fields, message);
  }

  info(fields: LogFields, message?: string): void {
    this.#write('info', fields, message);
  }

  warn(fields: LogFields, message?: string): void {
    this.#write('warn', fields, message);
  }

  error(fields: LogFields, message?: string): void {
    this.#write('error', fields, message);
  }

  child(fields: Record<string, unknown>): Logger {
    try {
      return new SafeLogger(this.#pino.child(fields), this.#onLost);
    } catch {
      return this;
    }
  }

  #write(level: 'debug' | 'info' | 'warn' | 'error', fields: LogFields, message: string | undefined): void {
    try {
      this.#pino[level](fields, message);
    } catch (error) {
      this.#writeFault(level, fields, error);
    }
  }

  #writeFault(level: 'debug' | 'info' | 'warn' | 'error', fields: LogFields, error: unknown): void {
    try {
      const { event } = fields;
      this.#pino[level]({ event, unwritable: errorText(error) });
    } catch {
      this.#onLost('a line could not be put into words');
    }
  }
}

/** There is one standard output, whoever logs to it. */
let standard: LogWriter | undefined;

function standardWriter(): LogWriter {
  if (standard) return standard;
  const writer = new LogWriter(standardOutput(), systemClock);
  // What nobody waited for: the last words before process.exit().
  process.once('exit', () => writer.finish());
  return (standard = writer);
}

/** What no line may have in it is taken out, whichever field it is in. */
function cleaned(line: string, secrets: readonly string[], redactNumbers: boolean): string {
  if (line.length > MAX_LINE_LENGTH) throw new RangeError(`a line of ${line.length} characters`);
  // The fields pino redacts are those logged by name; this catches a key inside an error's message.
  const open = secrets.reduce((clean, secret) => clean.replaceAll(secret, CENSORED), withoutUriPasswords(line));
  return escapeControls(redactNumbers ? `${redactNumbersInJson(open)}\n` : open);
}

function inAnyObject(field: string): string {
  return field.startsWith('[') ? `*${field}` : `*.${field}`;
}

/** Secrets as they stand inside a JSON string. */
function secretPatterns(secrets: readonly string[]): string[] {
  return secrets.filter((text) => text.length >= MIN_SECRET_LENGTH).map((text) => JSON.stringify(text).slice(1, -1));
}

function prettified(destination: DestinationStream): DestinationStream {
  // Loaded by those alone who use it. As a function rather than as a stream, which would still hold lines when the process exits.
  const { prettyFactory } = createRequire(import.meta.url)('pino-pretty') as typeof PinoPretty;
  const format = prettyFactory({ singleLine: true, messageFormat: '{event} {msg}', ignore: 'event' });
  return {
    write(line) {
      destination.write(format(keepEscaped(line)));
    },
  };
}
