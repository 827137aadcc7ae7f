import { spawn } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import {
  accessSync,
  constants,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { SipText } from './sip-peer.js';

/** Whether a program is installed. Tests of phones we did not write are skipped without the phone. */
export function isInstalled(program: string): boolean {
  return (process.env['PATH'] ?? '').split(delimiter).some((directory) => isExecutable(join(directory, program)));
}

/** sipp plays recordings through raw sockets, which only the superuser may open. */
export const mayOpenRawSockets = process.getuid?.() === 0;

/** Speech in PCMA, 30 ms a packet, 7 s: as sipp's packages ship it. */
export const SIPP_RECORDING = '/usr/share/sip-tester/g711a.pcap';

const WATCH_PERIOD_MS = 5;

/**
 * Watches for times at which this process wanted to run and the machine did not let it. When a timer comes late, what the
 * process has used of the processor meanwhile was its own doing; the rest was the machine's.
 */
export class StolenTime {
  #longestMs = 0;
  #atMs = performance.now();
  #used = process.cpuUsage();
  readonly #timer = setInterval(() => this.#look(), WATCH_PERIOD_MS).unref();

  /** The longest such time so far. */
  get longestMs(): number {
    return this.#longestMs;
  }

  /** Ends the watch. Returns the longest such time, in ms. */
  stop(): number {
    clearInterval(this.#timer);
    return this.#longestMs;
  }

  #look(): void {
    const { user, system } = process.cpuUsage(this.#used);
    const nowMs = performance.now();
    const lateMs = nowMs - this.#atMs - WATCH_PERIOD_MS;
    this.#longestMs = Math.max(this.#longestMs, lateMs - (user + system) / 1_000);
    this.#atMs = nowMs;
    this.#used = process.cpuUsage();
  }
}

export interface ProgramResult {
  /** Undefined when it had to be killed. */
  readonly exitCode: number | undefined;
  readonly output: string;
}

/** Runs a program to its end and collects what it says. Kills it when it takes longer than `timeoutMs`. */
export async function run(
  program: string,
  args: readonly string[],
  options: { cwd: string; timeoutMs: number },
): Promise<ProgramResult> {
  const child = spawn(program, args, {
    cwd: options.cwd,
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: options.timeoutMs,
    killSignal: 'SIGKILL',
  });
  const output: Buffer[] = [];
  child.stdout.on('data', (chunk: Buffer) => output.push(chunk));
  child.stderr.on('data', (chunk: Buffer) => output.push(chunk));
  const [exitCode] = (await once(child, 'close')) as [number | null];
  return { exitCode: exitCode ?? undefined, output: Buffer.concat(output).toString('latin1') };
}

/** Calls `use` with a directory of its own, which is gone afterwards. */
export async function withTemporaryDirectory<T>(use: (directory: string) => Promise<T>): Promise<T> {
  const directory = mkdtempSync(join(tmpdir(), 'bridge-tools-'));
  try {
    return await use(directory);
  } finally {
    rmSync(directory, { recursive: true });
  }
}

export interface SippOptions {
  /** A file of `scenarios`, without `.xml`; `uac` is the one built in. */
  readonly scenario: string;
  readonly protocol: 'udp' | 'tcp';
  readonly port: number;
  /** What is dialled. */
  readonly number: string;
  /** The Call-ID is this with `-1`, `-2`… behind it. Default: the scenario's name and the protocol. */
  readonly name?: string;
  /** Keywords of the scenario. */
  readonly keys?: Readonly<Record<string, string | number>>;
  readonly calls?: number;
  readonly callsPerSecond?: number;
  /** How long a built-in scenario talks. */
  readonly talkMs?: number;
  /** False: what is lost stays lost, and what comes twice is seen twice. */
  readonly retransmits?: boolean;
  /** Where a scenario of a called party listens. Default: any port. */
  readonly sipPort?: number;
  readonly timeoutSec?: number;
}

/** One message of a sipp run. */
export interface TracedMessage {
  readonly direction: 'sent' | 'received';
  /** On sipp's clock. */
  readonly atMs: number;
  readonly message: SipText;
}

export interface SippResult extends ProgramResult {
  readonly trace: readonly TracedMessage[];
  /** For the message of a failed assertion: what went wrong in sipp's words, and the messages exchanged. */
  readonly report: string;
}

const SCENARIOS = fileURLToPath(new URL('../integration/scenarios', import.meta.url));

/**
 * Below the ports of the bridge and of the test caller, and away from 5060, where answers to strangers with a broken Via go.
 * A phone uses the four from its first on for RTP and RTCP, and another one for SIP.
 */
const PHONE_PORTS = { first: 10_000, step: 4, count: 2_000 };
let lastPort = randomInt(PHONE_PORTS.count);

/** The first of four free ports that this process has not given away lately. */
export async function nextPorts(): Promise<number> {
  for (let attempt = 0; attempt < PHONE_PORTS.count; attempt++) {
    lastPort = (lastPort + 1) % PHONE_PORTS.count;
    const port = PHONE_PORTS.first + PHONE_PORTS.step * lastPort;
    const free = await Promise.all([port, port + 1, port + 2, port + 3].map(isFree));
    if (free.every(Boolean)) return port;
  }
  throw new Error('No ports are free for a phone');
}

async function isFree(port: number): Promise<boolean> {
  const socket = createSocket('udp4');
  const free = await new Promise<boolean>((resolve) => {
    socket.once('error', () => resolve(false));
    socket.bind({ port, address: '127.0.0.1', exclusive: true }, () => resolve(true));
  });
  socket.close();
  return free;
}

/** Plays a scenario against the bridge. sipp exits with 0 only when every call went as the scenario says. */
export function runSipp(options: SippOptions): Promise<SippResult> {
  return withTemporaryDirectory(async (directory) => {
    const traceFile = join(directory, 'messages.log');
    const errorFile = join(directory, 'errors.log');
    const { timeoutSec = 20 } = options;
    const [sipPort, mediaPort] = [options.sipPort ?? (await nextPorts()), await nextPorts()];
    const ports = ['-p', `${sipPort}`, '-mp', `${mediaPort}`];
    const args = [...sippArguments(options), ...ports, '-message_file', traceFile, '-error_file', errorFile];
    const result = await run('sipp', args, { cwd: directory, timeoutMs: (timeoutSec + 5) * 1_000 });
    const trace = readTrace(textOf(traceFile));
    return { ...result, trace, report: reportOf(result, textOf(errorFile), trace) };
  });
}

function sippArguments(options: SippOptions): string[] {
  const { scenario, protocol, port, number, keys = {}, calls = 1, callsPerSecond = 10 } = options;
  const { name = `${scenario}-${protocol}`, talkMs, retransmits = true, timeoutSec = 20 } = options;
  return [
    `127.0.0.1:${port}`,
    ...(scenario === 'uac' ? ['-sn', 'uac'] : ['-sf', join(SCENARIOS, `${scenario}.xml`)]),
    ...['-t', protocol === 'udp' ? 'u1' : 't1', '-i', '127.0.0.1'],
    ...['-s', number, '-cid_str', `${name}-%u`, '-m', `${calls}`, '-r', `${callsPerSecond}`],
    ...Object.entries(keys).flatMap(([key, value]) => ['-key', key, `${value}`]),
    ...(talkMs === undefined ? [] : ['-d', `${talkMs}`]),
    ...(retransmits ? [] : ['-nr']),
    ...['-timeout', `${timeoutSec}`, '-timeout_error', '-nostdin', '-trace_msg', '-trace_err'],
  ];
}

const TRACED = /^-{47} (\S+ \S+)\n\S+ message (sent|received) .*\n\n/gm;

function readTrace(text: string): TracedMessage[] {
  const heads = [...text.matchAll(TRACED)];
  return heads.map((head, n) => {
    const [whole, at = '', direction] = head;
    const raw = text.slice(head.index + whole.length, heads[n + 1]?.index);
    return {
      direction: direction === 'sent' ? 'sent' : 'received',
      atMs: Date.parse(at.replace(' ', 'T')),
      message: new SipText(raw.replace(/\r?\n/g, '\r\n')),
    };
  });
}

function reportOf({ exitCode, output }: ProgramResult, errors: string, trace: readonly TracedMessage[]): string {
  const messages = trace.map(
    ({ direction, message }) =>
      `${direction === 'sent' ? '→' : '←'} ${message.startLine} (${message.header('Call-ID')}, ${message.header('CSeq')})`,
  );
  return [`sipp: ${exitCode ?? 'killed'}`, errors, ...messages, ...(trace.length === 0 ? [output] : [])].join('\n');
}

const BARESIP_MODULES = '/usr/lib/baresip/modules';

/** What baresip speaks: the module that does, its name for it, and its sampling rate. */
const BARESIP_CODECS = {
  PCMU: { module: 'g711', name: 'pcmu/8000/1', rateHz: 8_000 },
  PCMA: { module: 'g711', name: 'pcma/8000/1', rateHz: 8_000 },
  G722: { module: 'g722', name: 'g722/16000/1', rateHz: 16_000 },
  OPUS: { module: 'opus', name: 'opus/48000/2', rateHz: 48_000 },
} as const;

export type BaresipCodec = keyof typeof BARESIP_CODECS;

/** Samples a second of the file it plays. */
export const baresipRateHz = (codec: BaresipCodec): number => BARESIP_CODECS[codec].rateHz;

/** Whether there is a baresip that can play and record WAV files, and speaks a codec. */
export function hasBaresip(codec: BaresipCodec = 'PCMU'): boolean {
  const modules = [BARESIP_CODECS[codec].module, 'aufile', 'sndfile', 'account', 'menu'];
  return isInstalled('baresip') && modules.every((name) => existsSync(join(BARESIP_MODULES, `${name}.so`)));
}

export interface BaresipOptions {
  /** What is dialled. */
  readonly uri: string;
  readonly codec: BaresipCodec;
  /** A WAV file of one channel at the codec's rate. When it is over, baresip hangs up. */
  readonly play: string;
  /** When it quits, calls or not. */
  readonly quitAfterSec: number;
  /** Where its files go. */
  readonly directory: string;
  /** Offers to have RTCP on the port of the RTP. */
  readonly rtcpMux?: boolean;
  /** PEM of the only authority it believes. */
  readonly caFile?: string;
  /** For who asks for a password. */
  readonly credentials?: { readonly user: string; readonly password: string };
}

export interface BaresipResult extends ProgramResult {
  /** Its own count of RTP packets. */
  readonly packets: { readonly sent: number; readonly received: number };
  /** What it heard, as a WAV file. */
  readonly recording: string | undefined;
}

/** Places one call with baresip, playing a file and recording what is heard. */
export async function runBaresip(options: BaresipOptions): Promise<BaresipResult> {
  const { uri, codec, directory, quitAfterSec, credentials } = options;
  const password = credentials ? `;auth_user=${credentials.user};auth_pass=${credentials.password}` : '';
  mkdirSync(directory, { recursive: true });
  writeFileSync(join(directory, 'config'), baresipConfig(options, await nextPorts()));
  writeFileSync(join(directory, 'contacts'), '');
  writeFileSync(
    join(directory, 'accounts'),
    `<sip:baresip@127.0.0.1>;regint=0;audio_codecs=${BARESIP_CODECS[codec].name}${password}\n`,
  );
  const args = ['-f', directory, '-e', `/dial ${uri}`, '-t', `${quitAfterSec}`];
  const result = await run('baresip', args, { cwd: directory, timeoutMs: quitAfterSec * 1_000 + 5_000 });
  const [, sent, received] = /^packets: +(\d+) +(\d+)$/m.exec(result.output) ?? [];
  const recording = readdirSync(directory).find((file) => file.endsWith('-dec.wav'));
  return {
    ...result,
    packets: { sent: Number(sent), received: Number(received) },
    recording: recording && join(directory, recording),
  };
}

function baresipConfig({ play, directory, codec, caFile, rtcpMux = false }: BaresipOptions, port: number): string {
  const { module, rateHz } = BARESIP_CODECS[codec];
  const settings = {
    sip_listen: '127.0.0.1:0',
    net_interface: '127.0.0.1',
    rtp_stats: 'yes',
    rtcp_mux: rtcpMux ? 'yes' : 'no',
    rtp_ports: `${port}-${port + 3}`,
    audio_source: `aufile,${play}`,
    ausrc_srate: rateHz,
    ausrc_channels: 1,
    auplay_srate: rateHz,
    opus_bitrate: 64_000,
    auplay_channels: 1,
    snd_path: directory,
    module_path: BARESIP_MODULES,
    ...(caFile === undefined ? {} : { sip_cafile: caFile }),
  };
  const modules = [
    ...[module, 'aufile', 'sndfile'].map((name) => `module ${name}.so`),
    'module_tmp account.so',
    'module_app menu.so',
  ];
  return [...Object.entries(settings).map(([name, value]) => `${name} ${value}`), ...modules, ''].join('\n');
}

function textOf(file: string): string {
  return existsSync(file) ? readFileSync(file, 'latin1') : '';
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
