import { systemClock } from '../../clock.js';
import { createLog } from '../../ops/log.js';
import { speechLevelDbm0 } from '../../phone/audio-measure.js';
import { localAddressTowards } from '../../phone/local-address.js';
import type { TestCall, TestCallReport } from '../../phone/test-call.js';
import { TestCaller } from '../../phone/test-caller.js';
import { writeWav } from '../../phone/wav.js';
import { ExitCode, type Io } from '../io.js';
import type { Certificate } from '../self-signed.js';
import type { CallParts } from './call-parts.js';

const MAX_RINGING_MS = 60_000;
/** A callee that is there says something (100, 180, 183) long before. */
const NOTHING_HEARD_MS = 3_000;

/** The command `call`. Resolves when the call is over; rejects with what the command is to exit with. */
export async function placeCall(uri: string, parts: CallParts, io: Io): Promise<void> {
  const { codec, from, seconds, credentials } = parts;
  const destination = {
    write: (line: string) => io.err(line),
  };
  const { logger } = createLog({ level: 'warn', pretty: true, redactNumbers: false, destination });
  const address = await localAddressTowards(uri);
  const tls = parts.tls && { ...(await ownCertificate(address)), ...parts.tls };
  const caller = await TestCaller.start({ logger, address, ...(tls && { tls }) });
  try {
    const maxRecordMs = (seconds + 1) * 1_000;
    const call = caller.call(uri, { codec, from, maxRecordMs, ...(credentials && { credentials }) });
    await stay(call, parts, io);
    report(call, parts.recordTo, io);
  } finally {
    await caller.close();
  }
}

/** For callees that ask for one; nobody vouches for it. What makes it is loaded by those alone who call over TLS. */
async function ownCertificate(address: string): Promise<Certificate> {
  const { selfSignedCertificate } = await import('../self-signed.js');
  return selfSignedCertificate(address);
}

/** Resolves when the call is over, whoever ended it. */
async function stay(call: TestCall, { said, seconds }: CallParts, io: Io): Promise<void> {
  const hangUp = (): void => void call.hangUp();
  let cancelTimer = systemClock.after(MAX_RINGING_MS, hangUp);
  const cancelNotice = systemClock.after(NOTHING_HEARD_MS, () => {
    if (call.report().progress.every(({ direction }) => direction === 'sent')) io.err('nothing heard yet\n');
  });
  follow(call, io);
  call.once('answered', () => {
    cancelTimer();
    cancelTimer = systemClock.after(seconds * 1_000, hangUp);
    if (said.length > 0) void call.play(said);
  });
  io.signals.on('SIGINT', hangUp);
  await call.ended;
  io.signals.off('SIGINT', hangUp);
  cancelNotice();
  cancelTimer();
}

function follow(call: TestCall, io: Io): void {
  const startMs = systemClock.nowMs();
  call.on('progress', ({ atMs, direction, what }) =>
    io.out(`${String(Math.round(atMs - startMs)).padStart(6)} ms  ${direction === 'sent' ? '→' : '←'} ${what}\n`),
  );
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
