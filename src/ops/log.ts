import { createRequire } from 'node:module';
import { pino } from 'pino';
import type { DestinationStream } from 'pino';
import type * as PinoPretty from 'pino-pretty';
import type { LogLevel } from '../config/types.js';
import type { Logger } from '../logger.js';
import { redactNumber, redactQuotedNumbers } from './redact-numbers.js';

export interface LogOptions {
  readonly level: LogLevel;
  /** For a person at a terminal, instead of one JSON object a line. */
  readonly pretty: boolean;
  /** Masks phone numbers in `from`, `fromName`, `assertedIdentity`, `to`, `did`, `referTo`, `user` and names made of them, but for their last two digits. */
  readonly redactNumbers: boolean;
  /** Texts that no line may contain, such as API keys. */
  readonly secrets?: readonly string[];
  /** Standard output unless given. */
  readonly destination?: DestinationStream;
}

export interface Log {
  /** The root of all loggers. A line is written before the call returns, so none is lost at exit. */
  readonly logger: Logger;
  /** For this logger and all its children. */
  readonly setLevel: (level: LogLevel) => void;
  /** Replaces the texts that no line may contain. */
  readonly setSecrets: (secrets: readonly string[]) => void;
}

const CENSORED = '[redacted]';
/** A shorter secret, were it replaced wherever it occurs, would tear ordinary words apart. */
const MIN_SECRET_LENGTH = 8;
const SECRET_FIELDS = ['apiKey', 'secret', 'password', 'authorization', '["x-api-key"]'];

/** The product's log: JSON lines with `event`, ISO `time` and `level` by name. */
export function createLog(options: LogOptions): Log {
  let secrets = secretPatterns(options.secrets ?? []);
  const logger = pino(
    {
      level: options.level,
      // Whoever collects the lines knows host and process.
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      serializers: { error: pino.stdSerializers.err, ...(options.redactNumbers ? NUMBER_SERIALIZERS : {}) },
      redact: { paths: SECRET_FIELDS.flatMap((field) => [field, inAnyObject(field)]), censor: CENSORED },
      // The fields above catch what is logged by name; this catches a key inside an error's message.
      hooks: { streamWrite: (line) => secrets.reduce((clean, secret) => clean.replaceAll(secret, CENSORED), line) },
    },
    destinationOf(options),
  );
  return {
    logger,
    setLevel(level) {
      logger.level = level;
    },
    setSecrets(texts) {
      secrets = secretPatterns(texts);
    },
  };
}

const numberAlone = (value: unknown): unknown => (typeof value === 'string' ? redactNumber(value) : value);
const numberQuoted = (value: unknown): unknown => (typeof value === 'string' ? redactQuotedNumbers(value) : value);
const NUMBER_SERIALIZERS = {
  from: numberAlone,
  fromName: numberAlone,
  assertedIdentity: numberAlone,
  to: numberAlone,
  did: numberAlone,
  number: numberAlone,
  referTo: numberAlone,
  user: numberAlone,
  // A route or a registration without a name is called after its number.
  route: numberQuoted,
  registration: numberQuoted,
};

function inAnyObject(field: string): string {
  return field.startsWith('[') ? `*${field}` : `*.${field}`;
}

/** Secrets as they stand inside a JSON string. */
function secretPatterns(secrets: readonly string[]): string[] {
  return secrets.filter((text) => text.length >= MIN_SECRET_LENGTH).map((text) => JSON.stringify(text).slice(1, -1));
}

function destinationOf({ pretty, destination }: LogOptions): DestinationStream {
  const output = destination ?? pino.destination({ dest: 1, sync: true });
  if (!pretty) return output;
  // Loaded by those alone who use it. As a function rather than as a stream, which would still hold lines when the process exits.
  const { prettyFactory } = createRequire(import.meta.url)('pino-pretty') as typeof PinoPretty;
  const format = prettyFactory({ singleLine: true, messageFormat: '{event} {msg}', ignore: 'event' });
  return {
    write(line) {
      output.write(format(line));
    },
  };
}
