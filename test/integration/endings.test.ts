import { readFileSync } from 'node:fs';
import { createSecureContext } from 'node:tls';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import type { CallRecord } from '../../src/events/call-record.js';
import type { HandshakeReport } from '../../src/simulator/pranthora-simulator.js';
import { mediaStreamPath, WEB_MEDIA_STREAM_PATH } from '../../src/simulator/client-request.js';
import type { Scenario, SimulatorSession } from '../../src/simulator/simulator-session.js';
import { pcmBytes, tone } from '../../src/simulator/speech.js';
import { TestCaller } from '../../src/phone/test-caller.js';
import type { TestCall } from '../../src/phone/test-call.js';
import type { ViolationKind } from '../../src/simulator/uplink-audit.js';
import { acceptUpgrade, HostileServer } from '../contract/hostile-server.js';
import { BreakingNetwork } from '../support/breaking-network.js';
import { BridgeUnderTest } from '../support/bridge-under-test.js';
import { measuresRealTime } from '../support/real-time.js';
import { PeerCall } from '../support/sip-call.js';
import { UdpPeer } from '../support/sip-peer.js';

type Protocol = 'websocket' | 'telephony';

/** How the bridge reaches an agent, and what is spoken there then. */
interface Way {
  readonly mode: 'websocket' | 'telephony' | 'handshake';
  readonly protocol: Protocol;
}

const WAYS: readonly Way[] = [
  { mode: 'websocket', protocol: 'websocket' },
  { mode: 'telephony', protocol: 'telephony' },
  { mode: 'handshake', protocol: 'telephony' },
  { mode: 'handshake', protocol: 'websocket' },
];

/** What Pranthora does to a session, or the HTTP status it answers the next handshake or upgrade with. */
type Ending = ((session: SimulatorSession) => void) | { readonly httpStatus: number } | { readonly neverStarts: true };

/** What the network does to an agent that is reached through one of its own. */
type Trouble = (network: BreakingNetwork) => void;

const closes =
  (code: number, reason: string): Ending =>
  (session) =>
    session.close(code, reason);
const says =
  (text: string): Ending =>
  (session) =>
    session.sendText(text);
const breaks: Ending = (session) => session.terminate();
const http = (httpStatus: number): Ending => ({ httpStatus });

/** What it means before the call is answered: the SIP status, `Retry-After`, the reason in the record. */
const BEFORE = {
  hangup: { status: 480, retryAfter: '', reason: 'agent_hangup' },
  fault: { status: 500, retryAfter: '', reason: 'agent_configuration' },
  trouble: { status: 503, retryAfter: '5', reason: 'agent_unreachable' },
} as const;

/** What it means after the answer. `heard`: all that the agent had said was played. */
const AFTER = {
  /** The caller notices nothing but silence, and goes on with a new session until they hang up. */
  reconnect: { phone: 'goes on', heard: 'all', reason: 'caller_hangup', reconnects: 1 },
  hangup: { phone: 'BYE', heard: 'all', reason: 'agent_hangup', reconnects: 0 },
  fault: { phone: 'BYE', heard: 'some', reason: 'agent_configuration', reconnects: 0 },
  /** Pranthora does not come back. */
  lost: { phone: 'BYE', heard: 'some', reason: 'agent_unreachable', reconnects: 0 },
} as const;

type Row = readonly [what: string, ending: Ending, before: keyof typeof BEFORE, after: keyof typeof AFTER];

/** The table, row by row. */
const EVERYWHERE: readonly Row[] = [
  ['close 1000 "Session timeout reached"', closes(1000, 'Session timeout reached'), 'trouble', 'reconnect'],
  ['close 1000', closes(1000, 'Call terminated by agent'), 'hangup', 'hangup'],
  ['close 1000 without a reason', closes(1000, ''), 'hangup', 'hangup'],
  ['event call-end', says('{"event":"call-end"}'), 'hangup', 'hangup'],
  ['event_type call_end', says('{"event_type":"call_end"}'), 'hangup', 'hangup'],
  ['close 4001', closes(4001, 'Unauthorized'), 'fault', 'fault'],
  ['close 4002', closes(4002, 'Missing agent_id'), 'fault', 'fault'],
  ['close 4003', closes(4003, 'Agent not found'), 'fault', 'fault'],
  ['close 1008', closes(1008, 'Missing parameter'), 'fault', 'fault'],
  ['HTTP 401', http(401), 'fault', 'fault'],
  ['HTTP 403', http(403), 'fault', 'fault'],
  ['HTTP 404', http(404), 'fault', 'fault'],
  ['HTTP 422', http(422), 'fault', 'fault'],
  ['close 1011 "Session not found"', closes(1011, 'Session not found'), 'trouble', 'reconnect'],
  ['close 1011', closes(1011, 'Internal error'), 'trouble', 'reconnect'],
  ['close 1001', closes(1001, 'Going away'), 'trouble', 'reconnect'],
  ['a broken connection (1006)', breaks, 'trouble', 'reconnect'],
  ['close 1012', closes(1012, 'Service restart'), 'trouble', 'reconnect'],
  ['close 1013', closes(1013, 'Try again later'), 'trouble', 'reconnect'],
  ['close 1014', closes(1014, 'Bad gateway'), 'trouble', 'reconnect'],
  ['HTTP 500', http(500), 'trouble', 'lost'],
  ['HTTP 503', http(503), 'trouble', 'lost'],
];
/** After the answer; whether it is the name, the address or the certificate that fails, before. */
const ON_THE_WAY: readonly (readonly [what: string, trouble: Trouble, after: keyof typeof AFTER])[] = [
  ['connection refused', (network) => void network.stop(), 'lost'],
  [
    'no TLS',
    (network) => {
      network.garbage = '220 smtp.example ESMTP\r\n';
      network.break();
    },
    'lost',
  ],
  ['silence, until the ping timeout', (network) => network.swallow(), 'reconnect'],
];
const ON_TELEPHONY: readonly Row[] = [['event stop', says('{"event":"stop"}'), 'hangup', 'hangup']];
/** Where the client begins, a server that answers its upgrade has started. */
const ON_WEBSOCKET: readonly Row[] = [['no start_media_streaming', { neverStarts: true }, 'trouble', 'lost']];

interface Case {
  readonly what: string;
  readonly way: Way;
  readonly ending: Ending;
  /** The number dialled, and the agent's id. */
  readonly number: string;
  readonly before?: keyof typeof BEFORE;
  readonly after?: keyof typeof AFTER;
  /** Where Pranthora is, if it is not the simulator. */
  readonly url?: string;
  readonly network?: { readonly between: BreakingNetwork; readonly trouble: Trouble };
}

const rowsOf = ({ protocol }: Way): readonly Row[] => [
  ...EVERYWHERE,
  ...(protocol === 'telephony' ? ON_TELEPHONY : ON_WEBSOCKET),
];

const CASES: readonly Case[] = WAYS.flatMap((way, w) =>
  rowsOf(way).flatMap(([what, ending, before, after], r): Case[] => [
    { what, way, ending, number: `5${w}${r + 10}0`, before },
    { what, way, ending, number: `5${w}${r + 10}1`, after },
  ]),
);

const RECONNECT = { maxAttempts: 2, initialDelayMs: 10, maxDelayMs: 20 };
const AT_ONCE = 12;
const SAID_MS = 400;
const SAID = pcmBytes(tone(440, SAID_MS));
const SAID_PACKETS = SAID_MS / 20;
const PATIENCE = { timeout: 8_000, interval: 10 };
/** A connection that has gone silent is pinged every ten seconds, and lost at the second. */
const LOSS_NOTICED = { timeout: 25_000, interval: 10 };
const CERTIFICATE = new URL('../fixtures/tls/loopback.crt', import.meta.url).pathname;
const KEY = new URL('../fixtures/tls/loopback.key', import.meta.url).pathname;

/** Complaints a busy machine may cause. */
const TIMING: readonly ViolationKind[] = ['gap', 'burst', 'no-audio', 'mark-missing', 'mark-early'];

/** What became of a case: what the phone saw, what Pranthora saw, what the record says. */
interface Outcome {
  readonly phone: object;
  readonly reason: string;
  readonly record: CallRecord;
  readonly sessions: readonly SimulatorSession[];
  readonly handshakes: readonly HandshakeReport[];
}

let bench: Bench;
const outcomes = new Map<Case, Outcome | Error>();

/** Every case is a call of its own, a dozen at a time. */
class Bench {
  readonly sessions: SimulatorSession[] = [];
  readonly handshakes: HandshakeReport[] = [];

  private constructor(
    readonly under: BridgeUnderTest,
    readonly caller: TestCaller,
    readonly elsewhere: readonly { stop(): Promise<void> }[],
  ) {
    under.simulator.on('session', (session) => this.sessions.push(session));
    under.simulator.on('handshake', (handshake) => this.handshakes.push(handshake));
  }

  static async start(cases: readonly Case[], elsewhere: readonly { stop(): Promise<void> }[]): Promise<Bench> {
    const opened = new Map<string, number>();
    const caseOf = new Map(cases.map((each) => [each.number, each]));
    const under = await BridgeUnderTest.start({
      config: {
        pranthora: { connectTimeoutMs: 2_000, startTimeoutMs: 300, reconnect: RECONNECT, tls: { ca: CERTIFICATE } },
        call: { rtpTimeoutMs: 60_000 },
      },
      routes: cases.map(({ number, way, url }) => ({
        did: number,
        agentId: number,
        mode: way.mode,
        ...(url === undefined ? {} : { url }),
      })),
      simulator: {
        scenarioFor: (id) => scenarioOf(caseOf.get(id), opened),
        websocketUrl: (url) => endpointOf(url, caseOf),
      },
    });
    for (const { network } of cases) if (network) network.between.target = under.simulatorPort;
    const caller = await TestCaller.start({ logger: under.log.logger, clock: under.clock });
    return new Bench(under, caller, elsewhere);
  }

  async run(each: Case): Promise<Outcome> {
    const { phone, callId } = each.before ? await this.#before(each, each.before) : await this.#after(each);
    const record = await this.#record(each, callId);
    const sessions = this.sessions.filter(({ agentId }) => agentId === each.number);
    await vi.waitFor(() => expect(sessions.every(({ isClosed }) => isClosed)).toBe(true), PATIENCE);
    const handshakes = this.handshakes.filter(({ agentId }) => agentId === each.number);
    return { phone, reason: record.reason, record, sessions, handshakes };
  }

  async stop(): Promise<void> {
    await this.caller.close();
    await this.under.stop();
    await Promise.all(this.elsewhere.map((server) => server.stop()));
  }

  /** An INVITE as it is on the wire, and its final response. */
  async #before({ number }: Case, expected: keyof typeof BEFORE): Promise<{ phone: object; callId: string }> {
    const port = this.under.port('udp');
    const peer = await UdpPeer.open({ address: '127.0.0.1', port });
    try {
      const call = new PeerCall(peer, port);
      call.invite({ uri: `sip:${number}@127.0.0.1:${port}` });
      const response = await peer.next(`${BEFORE[expected].status} INVITE`);
      call.ack(response);
      const phone = {
        status: response.status,
        retryAfter: response.header('Retry-After'),
        says: response.header('Warning') !== '',
        rang: peer.count(180) > 0,
        answered: peer.count(200) > 0,
      };
      return { phone, callId: call.callId };
    } finally {
      await peer.close();
    }
  }

  /** A call that is answered; then the agent speaks, and while that is being played Pranthora does its worst. */
  async #after(each: Case): Promise<{ phone: object; callId: string | undefined }> {
    const call = this.caller.call(`sip:${each.number}@127.0.0.1:${this.under.port('udp')}`, { from: each.number });
    await call.answered;
    const first = await this.#session(each, 0);
    first.sendAudio(SAID);
    await vi.waitFor(() => expect(soundPackets(call)).toBeGreaterThan(0), PATIENCE);
    if (each.network) each.network.trouble(each.network.between);
    else if (typeof each.ending === 'function') each.ending(first);
    else first.terminate();
    if (each.after === 'reconnect') await this.#goOn(each, call);
    const { by } = await call.ended;
    const { lost, duplicated, sequenceBreaks, timestampBreaks, restarts } = call.report().heard;
    const phone = {
      ends: by === 'callee' ? 'BYE' : 'goes on',
      packets: soundPackets(call),
      faults: lost + duplicated + sequenceBreaks + timestampBreaks + restarts,
    };
    return { phone, callId: undefined };
  }

  /** The agent is heard again over its second session; then the caller hangs up. */
  async #goOn(each: Case, call: TestCall): Promise<void> {
    const second = await this.#session(each, 1, LOSS_NOTICED);
    await this.under.log.wait('agent.reconnected', await this.#callId(each));
    await vi.waitFor(() => expect(soundPackets(call)).toBeGreaterThanOrEqual(SAID_PACKETS), PATIENCE);
    second.sendAudio(SAID);
    await vi.waitFor(() => expect(soundPackets(call)).toBeGreaterThanOrEqual(2 * SAID_PACKETS), PATIENCE);
    await call.hangUp();
  }

  #session({ number }: Case, index: number, patience = PATIENCE): Promise<SimulatorSession> {
    return vi.waitFor(() => {
      const session = this.sessions.filter(({ agentId }) => agentId === number)[index];
      if (!session) throw new Error(`no session ${index} of ${number}`);
      return session;
    }, patience);
  }

  async #callId({ number }: Case): Promise<string> {
    const line = await vi.waitFor(() => {
      const found = this.under.log.events('call.received').find(({ did }) => did === number);
      if (!found) throw new Error(`no call of ${number}`);
      return found;
    }, PATIENCE);
    return line['callId'] as string;
  }

  async #record(each: Case, callId: string | undefined): Promise<CallRecord> {
    return this.under.record(callId ?? (await this.#callId(each)));
  }
}

/** Before the answer the ending comes at once; after it, all but the first session of what can be lost for good. */
function scenarioOf(each: Case | undefined, opened: Map<string, number>): Scenario | undefined {
  if (!each) return undefined;
  const { number, ending } = each;
  const isFirst = (opened.get(number) ?? 0) === 0;
  const well: Scenario = {
    onOpen: (session) => {
      opened.set(number, (opened.get(number) ?? 0) + 1);
      session.start();
    },
  };
  if (each.after !== undefined && (isFirst || typeof ending === 'function')) return well;
  if ('httpStatus' in ending) return ending;
  return {
    onOpen: (session) => {
      if (typeof ending === 'function') ending(session);
    },
  };
}

/** Where a handshake leads: to the protocol of the case, by its network if it has one. */
function endpointOf(url: string, caseOf: ReadonlyMap<string, Case>): string {
  const { origin, pathname } = new URL(url);
  const each = caseOf.get(pathname.split('/').at(-1) ?? '');
  const base = each?.network && each.url !== undefined ? each.url : origin;
  return each?.way.protocol === 'websocket'
    ? `${base}${WEB_MEDIA_STREAM_PATH}?agent_id=${each.number}`
    : base + pathname;
}

const soundPackets = ({ heard }: TestCall): number => heard.packets.filter(({ peak }) => peak > 8).length;

/** Answers handshakes and upgrades, and is deaf and dumb from there on. */
function deafServer(protocol: Protocol): HostileServer {
  return new HostileServer((socket) => {
    acceptUpgrade(socket, () => undefined);
    socket.prependOnceListener('data', (request) => {
      if (!request.toString('latin1').startsWith('POST')) return;
      socket.removeAllListeners('data');
      const path = protocol === 'telephony' ? mediaStreamPath({ agentId: 'x' }) : `${WEB_MEDIA_STREAM_PATH}?agent_id=x`;
      const body = JSON.stringify({ websocket_url: `ws://127.0.0.1:${socket.localPort ?? 0}${path}` });
      socket.end(`HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`);
    });
  });
}

/** What goes wrong before there is a Pranthora to speak with. */
async function elsewhereCases(servers: HostileServer[]): Promise<Case[]> {
  const start = async (server: HostileServer): Promise<string> => {
    servers.push(server);
    return server.start();
  };
  const notTls = await start(new HostileServer((socket) => socket.write('220 smtp.example ESMTP\r\n')));
  const cases: Case[] = [];
  for (const [w, way] of WAYS.entries()) {
    const nothing: Ending = { neverStarts: true };
    const silent = await start(deafServer(way.protocol));
    const add = (what: string, url: string): void => {
      const number = `6${w}${cases.length + 10}0`;
      cases.push({ what, way, ending: nothing, number, before: 'trouble', url });
    };
    add('connection refused', 'ws://127.0.0.1:9');
    add('no TLS', notTls.replace('ws:', 'wss:'));
    add('no sign of life after the upgrade', silent);
    add('no such host', `ws://${'x'.repeat(64)}.test`);
  }
  return cases;
}

/** Calls that are answered, and whose way to Pranthora then gives out. */
async function waylaidCases(networks: BreakingNetwork[]): Promise<Case[]> {
  const secureContext = createSecureContext({ cert: readFileSync(CERTIFICATE), key: readFileSync(KEY) });
  const cases: Case[] = [];
  for (const [w, way] of WAYS.entries()) {
    for (const [what, trouble, after] of ON_THE_WAY) {
      const between = new BreakingNetwork(secureContext);
      networks.push(between);
      const url = `wss://127.0.0.1:${await between.start()}`;
      const number = `7${w}${cases.length + 10}1`;
      cases.push({ what, way, ending: breaks, number, after, url, network: { between, trouble } });
    }
  }
  return cases;
}

const elsewhere: Case[] = [];
const waylaid: Case[] = [];

beforeAll(async () => {
  const servers: HostileServer[] = [];
  const networks: BreakingNetwork[] = [];
  elsewhere.push(...(await elsewhereCases(servers)));
  waylaid.push(...(await waylaidCases(networks)));
  // Those that take longest first.
  const left = [...waylaid, ...CASES, ...elsewhere];
  bench = await Bench.start(left, [...servers, ...networks]);
  const worker = async (): Promise<void> => {
    for (let next = left.shift(); next; next = left.shift()) {
      const outcome = await bench.run(next).catch((error: unknown) => error as Error);
      outcomes.set(next, outcome);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
}, 90_000);

afterAll(async () => {
  await bench.stop();
}, 30_000);

function outcomeOf(each: Case): Outcome {
  const outcome = outcomes.get(each);
  if (!outcome) throw new Error('the call was not made');
  if (outcome instanceof Error) throw outcome;
  return outcome;
}

/** What Pranthora had to complain about, apart from what a slow machine explains. */
function complaints(sessions: readonly SimulatorSession[]): string[] {
  const violations = sessions.flatMap((session) => session.violations);
  return violations.filter(({ kind }) => !TIMING.includes(kind)).map(({ kind, detail }) => `${kind}: ${detail}`);
}

/** Who closed it, with what. */
function closing(session: SimulatorSession | undefined): string {
  const { closedByServer, closeCode } = session?.report() ?? {};
  return `${closedByServer === true ? 'Pranthora' : 'bridge'} ${closeCode ?? 'none'}`;
}

const titled = (each: Case): string => `${each.what}, ${each.way.mode} (${each.way.protocol})`;

describe('before the answer', () => {
  it.each(CASES.filter(({ before }) => before).map((each) => [titled(each), each] as const))('%s', (_title, each) => {
    const outcome = outcomeOf(each);
    const { status, retryAfter, reason } = BEFORE[each.before ?? 'trouble'];
    expect(outcome.phone).toEqual({ status, retryAfter, says: true, rang: true, answered: false });
    expect(outcome.record).toMatchObject({ reason, sipStatus: status, mode: each.way.mode, reconnects: 0 });

    // A server that has lost the session is asked once more.
    const attempts = each.what.startsWith('close 1011') ? 2 : 1;
    expect(outcome.sessions).toHaveLength(statusOf(each.ending) === undefined ? attempts : 0);
    expect(complaints(outcome.sessions)).toEqual([]);
    const shaken = each.way.mode === 'handshake' ? attempts : 0;
    expect(outcome.handshakes.map((handshake) => handshake.status)).toEqual(
      Array<number>(shaken).fill(statusOf(each.ending) ?? 200),
    );
  });

  it.each(WAYS.flatMap(({ mode, protocol }) => [0, 1, 2, 3].map((n) => [mode, protocol, n] as const)))(
    'Pranthora is not there: %s (%s), %d',
    (mode, protocol, n) => {
      const each = elsewhere.filter(({ way }) => way.mode === mode && way.protocol === protocol)[n];
      if (!each) throw new Error('no such case');
      const { phone, record } = outcomeOf(each);
      expect(phone).toEqual({ status: 503, retryAfter: '5', says: true, rang: true, answered: false });
      expect(record).toMatchObject({ reason: 'agent_unreachable', sipStatus: 503 });
      expect(record.detail).toMatch([/ECONNREFUSED/, /TLS/, /start timeout/, /DNS/][n] ?? '');
    },
  );
});

const statusOf = (ending: Ending): number | undefined =>
  typeof ending === 'object' && 'httpStatus' in ending ? ending.httpStatus : undefined;

describe('after the answer', () => {
  measuresRealTime({ ofWholeFile: true });

  it.each(CASES.filter(({ after }) => after).map((each) => [titled(each), each] as const))('%s', (_title, each) => {
    const { phone, record, sessions, handshakes } = outcomeOf(each);
    const expected = AFTER[each.after ?? 'lost'];
    expect(phone).toMatchObject({ ends: expected.phone, faults: 0 });
    if (expected.heard === 'all') expect((phone as { packets: number }).packets).toBeGreaterThanOrEqual(SAID_PACKETS);
    const { reason, reconnects } = expected;
    expect(record).toMatchObject({ reason, reconnects, sipStatus: 200, mode: each.way.mode });
    expect(complaints(sessions)).toEqual([]);
    // The first session ended as Pranthora had it, the one the caller hung up was closed properly.
    expect(sessions).toHaveLength(statusOf(each.ending) === undefined ? attemptsOf(each) : 1);
    if (each.after === 'reconnect') expect(closing(sessions[1])).toBe('bridge 1000');
    if (each.what.startsWith('event')) expect(closing(sessions[0])).toBe('bridge 1000');
    const attempts = attemptsOf(each);
    expect(handshakes).toHaveLength(each.way.mode === 'handshake' ? attempts : 0);
  });
});

describe('after the answer, on the way to Pranthora', () => {
  measuresRealTime({ ofWholeFile: true });

  it.each(WAYS.flatMap((way) => ON_THE_WAY.map(([what]) => [what, way.mode, way.protocol, way] as const)))(
    '%s, %s (%s)',
    (what, _mode, _protocol, way) => {
      const each = waylaid.find((candidate) => candidate.what === what && candidate.way === way);
      if (!each) throw new Error('no such case');
      const { phone, record, sessions, handshakes } = outcomeOf(each);
      const expected = AFTER[each.after ?? 'lost'];
      expect(phone).toMatchObject({ ends: expected.phone, faults: 0 });
      if (expected.heard === 'all')
        expect((phone as { packets: number }).packets).toBeGreaterThanOrEqual(2 * SAID_PACKETS);
      const { reason, reconnects } = expected;
      expect(record).toMatchObject({ reason, reconnects, sipStatus: 200, mode: way.mode });
      // A session nobody can reach any more is not told that it is over; the one after it is.
      const attempts = 1 + reconnects;
      expect(sessions).toHaveLength(attempts);
      expect(complaints(sessions.slice(1))).toEqual([]);
      if (each.after === 'reconnect') expect(closing(sessions[1])).toBe('bridge 1000');
      expect(handshakes).toHaveLength(way.mode === 'handshake' ? attempts : 0);
    },
  );
});

/** How often Pranthora was asked for a session. */
function attemptsOf({ after, ending }: Case): number {
  if (after === 'reconnect') return 2;
  if (after === 'lost') return 1 + RECONNECT.maxAttempts;
  return typeof ending === 'function' ? 1 : 2;
}
