import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { SipText } from './sip-peer.js';
import type { SippOptions, SippResult, TracedMessage } from './tools.js';

const DOCUMENT = fileURLToPath(new URL('../../docs/drachtio-differences.md', import.meta.url));

/** A sipp scenario that is played against both engines. */
export interface ParityScenario extends Omit<SippOptions, 'port' | 'protocol'> {
  /** What its row in the document is called. */
  readonly title: string;
  /** Takes 64·T1: only played when there is a drachtio-server to compare with. */
  readonly slow?: boolean;
}

const call = (title: string, scenario: string, options: Partial<ParityScenario> = {}): ParityScenario => ({
  title,
  scenario,
  number: 'listener',
  ...options,
});

const requestOf = (method: string) => ({ start: `${method} sip:listener@127.0.0.1 SIP/2.0`, method });

const inside = (method: string, extra = 'X-Nothing: 1', title = `${method} inside a call`): ParityScenario =>
  call(title, 'in-dialog', { keys: { ...requestOf(method), extra } });

const outside = (method: string, toParam = '', title = `${method} outside a call`): ParityScenario =>
  call(title, 'outside', { keys: { ...requestOf(method), to_param: toParam, extra: 'X-Nothing: 1' } });

const unknown = (method: string): ParityScenario => outside(method, ';tag=nobody', `${method} in an unknown dialog`);

const malformed = (title: string, keys: { start?: string; sequence?: string; first?: string; extra?: string }) =>
  call(title, 'malformed', {
    keys: { ...requestOf('OPTIONS'), sequence: '1 OPTIONS', first: 'Max-Forwards: 70', extra: 'X-Nothing: 1', ...keys },
  });

export const PARITY_SCENARIOS: readonly ParityScenario[] = [
  call('a call', 'uac', { talkMs: 200 }),
  call('INVITE without an offer', 'offerless', { keys: { rtp_port: 9 } }),
  call('INVITE without a Contact', 'no-contact'),
  call('INVITE sent again: while ringing, and after the 200', 'retransmitted-invite', {
    number: 'slow',
    retransmits: false,
  }),
  call('a refused call', 'refused', { number: 'nobody', keys: { formats: '0' } }),
  call('CANCEL at the 100', 'cancel-at-once', { number: 'never-starts' }),
  call('CANCEL while it rings', 'cancel-ringing', { number: 'never-starts' }),
  call('CANCEL after the 200', 'cancel-after-200'),
  call('late ACK', 'lost-200', { retransmits: false }),
  call('no ACK', 'lost-ack', { slow: true, timeoutSec: 50 }),
  call('BYE instead of the ACK', 'bye-before-ack', { retransmits: false }),
  call('BYE twice', 'bye-twice'),
  call('hold and resume by re-INVITE', 'hold-resume', { keys: { rtp_port: 9 } }),
  call('UPDATE inside a call, without and with an offer', 'update', { keys: { second_port: 9 } }),
  call('the agent hangs up through a proxy that records the route', 'record-route', { number: 'hangs-up' }),
  inside('OPTIONS'),
  inside('INFO'),
  inside('MESSAGE'),
  inside('NOTIFY', 'Event: presence'),
  inside('REFER', 'Refer-To: <sip:somebody@192.0.2.1>'),
  inside('SUBSCRIBE', 'Event: presence'),
  inside('PRACK', 'RAck: 1 1 INVITE'),
  inside('NEWTHING'),
  outside('OPTIONS'),
  outside('REGISTER'),
  outside('SUBSCRIBE'),
  outside('MESSAGE'),
  outside('REFER'),
  outside('NOTIFY'),
  outside('INFO'),
  outside('UPDATE'),
  outside('BYE'),
  outside('CANCEL'),
  outside('PRACK'),
  outside('NEWTHING'),
  ...['OPTIONS', 'BYE', 'INFO', 'UPDATE', 'REFER'].map(unknown),
  malformed('no Max-Forwards', { first: 'X-First: 1' }),
  malformed('Max-Forwards: 0', { first: 'Max-Forwards: 0' }),
  malformed('another method in the CSeq', { sequence: '1 INFO' }),
  malformed('a CSeq without a number', { sequence: 'OPTIONS' }),
  malformed('SIP/3.0', { start: 'OPTIONS sip:listener@127.0.0.1 SIP/3.0' }),
  malformed('a scheme nobody knows', { start: 'OPTIONS nobody:listener@127.0.0.1 SIP/2.0' }),
  malformed('a required extension nobody knows', { extra: 'Require: nothing-like-it' }),
  malformed('a Via more, for a loop', { extra: 'Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKelsewhere' }),
  malformed('a header of 4 KB', { extra: `X-Long: ${'a'.repeat(4_000)}` }),
  malformed('a header of 10 KB', { extra: `X-Long: ${'a'.repeat(10_000)}` }),
  malformed('a display name of 2 KB', { extra: `Contact: "${'a'.repeat(2_000)}" <sip:a@192.0.2.1>` }),
];

/** Header fields whose being there is part of what a message says. */
const TELLING = ['Route', 'Record-Route', 'Retry-After', 'Unsupported'];

/**
 * The conversation of one sipp run in one line, `→` what sipp said and `←` what it heard: statuses and methods. What
 * comes several times in a row stands there once, for how often is a question of time.
 */
export function conversation({ trace, exitCode }: SippResult): string {
  const words: string[] = [];
  for (const message of trace) {
    const word = wordFor(message);
    if (word !== words.at(-1)) words.push(word);
  }
  return exitCode === 0 ? words.join(' ') : [...words, '(sipp gave up)'].join(' ');
}

function wordFor({ direction, message }: TracedMessage): string {
  const what = message.status === 0 ? message.method : `${message.status}`;
  return direction === 'sent' ? `→ ${what}` : `← ${what}${tellingOf(message)}`;
}

function tellingOf(message: SipText): string {
  const names = TELLING.filter((name) => message.headers(name).length > 0);
  return names.length === 0 ? '' : ` [${names.join(', ')}]`;
}

/** What the document says of one scenario. */
export interface Documented {
  readonly drachtio: string;
  readonly embedded: string;
}

/**
 * The rows of the document's tables by their titles: two cells where both engines say the same, four where they differ,
 * the last one of which is the reason.
 */
export function documentedParity(): Map<string, Documented> {
  const rows = new Map<string, Documented>();
  for (const line of readFileSync(DOCUMENT, 'utf8').split('\n')) {
    if (!/^\|.*[→←]/.test(line)) continue;
    const [title = '', drachtio = '', embedded = drachtio, why = 'none'] = line
      .split('|')
      .slice(1, -1)
      .map((cell) => cell.trim());
    if (rows.has(title) || why === '') throw new Error(`Twice, or without a reason: ${title}`);
    rows.set(title, { drachtio, embedded });
  }
  return rows;
}
