import { readFileSync } from 'node:fs';
import type { StreamEncoding } from '../../audio/encodings.js';
import { systemClock } from '../../clock.js';
import { createLog } from '../../ops/log.js';
import { speechLevelDbm0 } from '../../simulator/audio-measure.js';
import { localAddressTowards } from '../../simulator/local-address.js';
import { createPhoneCodec } from '../../simulator/phone-codec.js';
import type { TestCall, TestCallReport } from '../../simulator/test-call.js';
import { TestCaller, type CallOptions } from '../../simulator/test-caller.js';
import { readWav, writeWav } from '../../simulator/wav.js';
import { ExitCode, type Io } from '../io.js';

export interface CallCommandOptions {
  readonly play?: string;
  readonly record?: string;
  readonly seconds?: number;
  readonly codec: StreamEncoding;
  readonly from: string;
  readonly user?: string;
  readonly passwordFile?: string;
}

const DEFAULT_SECONDS = 10;
/** Left for the answer to what is played, when nobody says how long. */
const AFTER_PLAYING_SECONDS = 5;
const MAX_RINGING_MS = 60_000;

/** The command `call`. Resolves when the call is over; rejects with what the command is to exit with. */
export async function placeCall(uri: string, options: CallCommandOptions, io: Io): Promise<void> {
  const { rateHz } = createPhoneCodec(options.codec);
  const said = options.play === undefined ? new Int16Array(0) : readWav(options.play, rateHz);
  const playedSeconds = said.length / rateHz + AFTER_PLAYING_SECONDS;
  const seconds = options.seconds ?? (said.length > 0 ? playedSeconds : DEFAULT_SECONDS);
  const destination = {
    write: (line: string) => {
      io.err(line);
    },
  };
  const { logger } = createLog({ level: 'warn', pretty: true, redactNumbers: false, destination });
  const caller = await TestCaller.start({ logger, address: await localAddressTowards(uri) });
  try {
    const maxRecordMs = (seconds + 1) * 1_000;
    const call = caller.call(uri, { codec: options.codec, from: options.from, maxRecordMs, ...credentialsOf(options) });
    await stay(call, said, { seconds, io });
    report(call, options.record, io);
  } finally {
    await caller.close();
  }
}

function credentialsOf({ user, passwordFile }: CallCommandOptions): Pick<CallOptions, 'credentials'> {
  if (user === undefined && passwordFile === undefined) return {};
  if (user === undefined || passwordFile === undefined) throw new Error('--user and --password-file go together');
  return { credentials: { user, password: readFileSync(passwordFile, 'utf8').trimEnd() } };
}

/** Resolves when the call is over, whoever ended it. */
async function stay(call: TestCall, said: Int16Array, { seconds, io }: { seconds: number; io: Io }): Promise<void> {
  const hangUp = (): void => void call.hangUp();
  let cancelTimer = systemClock.after(MAX_RINGING_MS, hangUp);
  follow(call, io);
  call.once('answered', () => {
    cancelTimer();
    cancelTimer = systemClock.after(seconds * 1_000, hangUp);
    if (said.length > 0) void call.play(said);
  });
  io.signals.on('SIGINT', hangUp);
  await call.ended;
  io.signals.off('SIGINT', hangUp);
  cancelTimer();
}

function follow(call: TestCall, io: Io): void {
  const startMs = systemClock.nowMs();
  call.on('progress', ({ atMs, direction, what }) => {
    io.out(`${String(Math.round(atMs - startMs)).padStart(6)} ms  ${direction === 'sent' ? '→' : '←'} ${what}\n`);
  });
}

function report(call: TestCall, recordTo: string | undefined, io: Io): void {
  const { sent, heard } = call.recording();
  if (recordTo !== undefined && call.report().answeredAtMs !== undefined) {
    writeWav(recordTo, [sent, heard], call.rateHz);
    io.out(`recorded to ${recordTo}: left what was said, right what was heard\n`);
  }
  const summary = call.report();
  for (const line of describe(summary, speechLevelDbm0(heard, call.rateHz))) io.out(`${line}\n`);
  const failure = whatFailed(summary);
  if (failure === undefined) return;
  io.err(`${failure}\n`);
  throw new ExitCode(1);
}

function describe(
  { answeredAtMs, placedAtMs, codec, sentPackets, heard }: TestCallReport,
  levelDbm0: number,
): string[] {
  if (answeredAtMs === undefined) return [];
  const { packets, lost, duplicated, sequenceBreaks, timestampBreaks, longestGapMs, firstSoundAtMs } = heard;
  const sound =
    firstSoundAtMs === undefined
      ? 'nothing but silence'
      : `first audio ${Math.round(firstSoundAtMs - answeredAtMs)} ms after the answer, level ${levelDbm0.toFixed(1)} dBm0`;
  return [
    `answered  ${Math.round(answeredAtMs - placedAtMs)} ms after the INVITE, ${codec}`,
    `sent      ${sentPackets} packets`,
    `received  ${packets} packets: ${lost} lost, ${duplicated} repeated, ` +
      `${sequenceBreaks} breaks in sequence, ${timestampBreaks} in time, longest gap ${Math.round(longestGapMs)} ms`,
    `heard     ${sound}`,
  ];
}

/** In one line, or undefined if it was a call as it should be. */
function whatFailed({ answeredAtMs, ending, heard }: TestCallReport): string | undefined {
  if (answeredAtMs === undefined) return ending?.reason ?? 'not answered';
  if (ending?.by === 'failed') return ending.reason;
  if (heard.packets === 0) return 'answered, but no RTP came';
  if (heard.firstSoundAtMs === undefined) return 'answered, but nothing but silence was heard';
  return undefined;
}
