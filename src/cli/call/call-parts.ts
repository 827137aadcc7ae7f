import { accessSync, constants, existsSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import type { StreamEncoding } from '../../audio/encodings.js';
import { readRegularText } from '../../regular-file.js';
import { createPhoneCodec } from '../../phone/phone-codec.js';
import type { CallOptions } from '../../phone/test-caller.js';
import { readWav } from '../../phone/wav.js';

/** The options of the command `call`, as they are given. */
export interface CallCommandOptions {
  readonly play?: string;
  readonly record?: string;
  readonly seconds?: number;
  readonly codec: StreamEncoding;
  readonly from: string;
  readonly user?: string;
  readonly passwordFile?: string;
  readonly ca?: string;
}

/** What a call needs, read before anybody's phone rings. */
export interface CallParts {
  readonly codec: StreamEncoding;
  readonly from: string;
  /** At the codec's rate; empty when nothing is to be said. */
  readonly said: Int16Array;
  /** How long to stay after the answer. */
  readonly seconds: number;
  readonly recordTo?: string;
  readonly credentials?: NonNullable<CallOptions['credentials']>;
  /** Present for a call over TLS: whom to believe, in PEM; absent, the well-known authorities. */
  readonly tls?: { readonly ca?: string };
}

const DEFAULT_SECONDS = 10;
/** Left for the answer to what is played, when nobody says how long. */
const AFTER_PLAYING_SECONDS = 5;
const MAX_CA_FILE_BYTES = 1024 * 1024;
const MAX_PASSWORD_FILE_BYTES = 4096;

/** Throws an Error that names the option it cannot be done with. */
export function readParts(uri: string, options: CallCommandOptions): CallParts {
  const { codec, from, play, record, ca } = options;
  const { rateHz } = createPhoneCodec(codec);
  const said = play === undefined ? new Int16Array(0) : naming('--play', () => readWav(play, rateHz));
  const playedSeconds = said.length / rateHz + AFTER_PLAYING_SECONDS;
  const seconds = options.seconds ?? (said.length > 0 ? playedSeconds : DEFAULT_SECONDS);
  if (record !== undefined) checkWritable(record);
  const credentials = credentialsOf(options);
  const authority = ca === undefined ? undefined : naming('--ca', () => readRegularText(ca, MAX_CA_FILE_BYTES));
  return {
    ...{ codec, from, said, seconds },
    ...(record !== undefined && { recordTo: record }),
    ...(credentials && { credentials }),
    ...(isSecure(uri) && { tls: { ...(authority !== undefined && { ca: authority }) } }),
  };
}

/** The recording is written when the call is over: too late to be told that it cannot be. */
function checkWritable(path: string): void {
  naming('--record', () => {
    if (existsSync(path)) {
      if (!statSync(path).isFile()) throw new Error(`${path} is no file`);
      accessSync(path, constants.W_OK);
    } else if (!existsSync(dirname(path))) throw new Error(`${dirname(path)} does not exist`);
    else accessSync(dirname(path), constants.W_OK);
  });
}

function credentialsOf({ user, passwordFile }: CallCommandOptions): CallParts['credentials'] {
  if (user === undefined && passwordFile === undefined) return undefined;
  if (user === undefined || passwordFile === undefined) throw new Error('--user and --password-file go together');
  const password = naming('--password-file', () => readRegularText(passwordFile, MAX_PASSWORD_FILE_BYTES).trimEnd());
  return { user, password };
}

function isSecure(uri: string): boolean {
  return /^sips:/i.test(uri) || /;transport=tls(?=[;?]|$)/i.test(uri);
}

function naming<T>(option: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    throw new Error(`${option}: ${(error as Error).message}`, { cause: error });
  }
}
