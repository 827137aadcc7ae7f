import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { decodeG711 } from '../../src/audio/g711.js';
import type { CallRecord } from '../../src/events/call-record.js';
import { refuse } from '../../src/simulator/scenarios.js';
import type { Scenario } from '../../src/simulator/simulator-session.js';
import { everySecond, matchSpeech } from '../../src/phone/audio-measure.js';
import { TELEPHONE_RATE_HZ } from '../../src/phone/heard-audio.js';
import { tone } from '../../src/simulator/speech.js';
import { BridgeUnderTest } from '../support/bridge-under-test.js';
import { FOREIGN_PHONE, measuresRealTime } from '../support/real-time.js';
import {
  isInstalled,
  mayOpenRawSockets,
  runSipp,
  SIPP_RECORDING,
  type SippOptions,
  type SippResult,
} from '../support/tools.js';

measuresRealTime();

const PROTOCOLS = ['udp', 'tcp'] as const;

/** Numbers are dialled by name: each is the agent that answers. */
const AGENTS: Readonly<Record<string, Scenario>> = {
  talker: {
    onOpen: (session) => {
      session.start();
      session.say(tone(440, 3_000));
    },
  },
  listener: {},
  'recorder-udp': {},
  'recorder-tcp': {},
  // Rings long enough to be asked again.
  slow: {
    onOpen: (session) => {
      session.after(700, () => session.start());
    },
  },
  'never-starts': { onOpen: () => undefined },
  'hangs-up': {
    onOpen: (session) => {
      session.start();
      session.after(300, () => session.close(1000, 'Call terminated by agent'));
    },
  },
  refuses: refuse(4001, 'Unauthorized'),
};

const ROUTES = [
  ...Object.keys(AGENTS).map((agentId) => ({ did: agentId, agentId })),
  { did: 'unreachable', agentId: 'listener', url: 'ws://127.0.0.1:9' },
  ...PROTOCOLS.map((protocol) => ({ did: `single-${protocol}`, agentId: 'listener', maxConcurrent: 1 })),
];

describe.skipIf(!isInstalled('sipp'))('sipp (skipped when it is not installed)', FOREIGN_PHONE, () => {
  let under: BridgeUnderTest;

  beforeAll(async () => {
    under = await BridgeUnderTest.start({
      routes: ROUTES,
      simulator: { scenarioFor: (agentId) => AGENTS[agentId] },
    });
  });

  afterAll(async () => {
    await under.stop();
    // When its messages came is not looked at: half a dozen processes share the processor with the bridge here.
    expect(under.violations.filter(({ kind }) => kind !== 'gap' && kind !== 'burst')).toEqual([]);
  });

  /** Runs a scenario, which must be met. */
  async function play(options: Omit<SippOptions, 'port'>): Promise<SippResult> {
    const result = await runSipp({ ...options, port: under.port(options.protocol) });
    expect(result.exitCode, result.report).toBe(0);
    return result;
  }

  function record(scenario: string, protocol: string): Promise<CallRecord> {
    return under.record(`${scenario}-${protocol}-1`);
  }

  describe.concurrent.each(PROTOCOLS)('over %s', (protocol) => {
    it.concurrent('twenty calls of its own, ten a second', async () => {
      await play({ scenario: 'uac', protocol, number: 'talker', calls: 20, talkMs: 300 });
      for (let call = 1; call <= 20; call++) {
        const { outcome, reason, codec, downlink } = await under.record(`uac-${protocol}-${call}`);
        expect({ outcome, reason, codec }).toEqual({ outcome: 'completed', reason: 'caller_hangup', codec: 'PCMU' });
        expect(downlink?.packets).toBeGreaterThan(5);
      }
    });

    it.skipIf(!mayOpenRawSockets || !existsSync(SIPP_RECORDING)).concurrent(
      'a recording reaches the agent (skipped where sipp may not open raw sockets, or has no recording)',
      async () => {
        const [packets, speech] = readRecording(SIPP_RECORDING);
        const keys = { recording: SIPP_RECORDING };
        const session = under.nextSession(`recorder-${protocol}`);
        await play({ scenario: 'recording', protocol, number: `recorder-${protocol}`, keys });
        const { codec, uplink } = await record('recording', protocol);
        expect(codec).toBe('PCMA');
        expect(uplink).toMatchObject({ packets, lost: 0, duplicates: 0, foreign: 0, malformed: 0 });
        const heard = everySecond((await session).receivedAudio());
        expect(exactParts(speech, heard)).toBeGreaterThan(0.8);
      },
    );

    it.concurrent('CANCEL while it rings', async () => {
      await play({ scenario: 'cancel-ringing', protocol, number: 'never-starts' });
      expect(await record('cancel-ringing', protocol)).toMatchObject({ reason: 'caller_cancel', sipStatus: 487 });
    });

    // Over TCP the 100 and the 180 may come in one read, which sipp takes for an unexpected message.
    it.concurrent('CANCEL at the 100', async ({ skip }) => {
      skip(protocol === 'tcp', 'sipp cannot be told to expect both');
      await play({ scenario: 'cancel-at-once', protocol, number: 'never-starts' });
      expect(await record('cancel-at-once', protocol)).toMatchObject({ reason: 'caller_cancel', sipStatus: 487 });
    });

    it.concurrent('CANCEL after the 200 changes nothing', async () => {
      const { trace } = await play({ scenario: 'cancel-after-200', protocol, number: 'listener' });
      const { reason, durationMs } = await record('cancel-after-200', protocol);
      expect(reason).toBe('caller_hangup');
      expect(durationMs).toBeGreaterThan(300);
      expect(trace.filter(({ message }) => message.status === 487)).toEqual([]);
    });

    it.concurrent('BYE crossing BYE', async () => {
      await play({ scenario: 'bye-crossing-bye', protocol, number: 'hangs-up' });
      expect(await record('bye-crossing-bye', protocol)).toMatchObject({
        reason: 'agent_hangup',
        outcome: 'completed',
      });
    });

    it.concurrent('BYE instead of the ACK', async () => {
      await play({ scenario: 'bye-before-ack', protocol, number: 'listener', retransmits: false });
      expect(await record('bye-before-ack', protocol)).toMatchObject({ reason: 'caller_hangup' });
    });

    it.concurrent('an INVITE without an offer', async () => {
      const caller = await RtpCounter.open();
      const keys = { rtp_port: caller.port };
      await play({ scenario: 'offerless', protocol, number: 'talker', keys });
      expect(await record('offerless', protocol)).toMatchObject({ codec: 'PCMA', reason: 'caller_hangup' });
      expect(caller.packetsOf(8)).toBeGreaterThan(15);
      await caller.close();
    });

    it.concurrent('hold and resume', async () => {
      const caller = await RtpCounter.open();
      await play({ scenario: 'hold-resume', protocol, number: 'talker', keys: { rtp_port: caller.port } });
      await record('hold-resume', protocol);
      const changes = under.log.events('call.renegotiated', `hold-resume-${protocol}-1`);
      expect(changes.map((change) => change['sending'])).toEqual([false, false, true]);
      // 200 ms of talk, 600 ms on hold in two ways, 300 ms of talk.
      expect(caller.longestGapMs).toBeGreaterThan(550);
      expect(caller.packetsOf(0)).toSatisfy(isBetween(15, 45));
      await caller.close();
    });

    it.concurrent('RTP moved to another port', async () => {
      const [first, second] = [await RtpCounter.open(), await RtpCounter.open()];
      const keys = { first_port: first.port, second_port: second.port };
      await play({ scenario: 'moved-media', protocol, number: 'talker', keys });
      const { downlink } = await record('moved-media', protocol);
      expect(first.packetsOf(0)).toBeGreaterThan(5);
      expect(second.packetsOf(0)).toBeGreaterThan(5);
      await vi.waitFor(() => expect(first.packetsOf(0) + second.packetsOf(0)).toBe(downlink?.packets));
      expect(first.lastAtMs).toBeLessThan(second.firstAtMs);
      await Promise.all([first.close(), second.close()]);
    });

    it.concurrent('UPDATE, without and with an offer', async () => {
      const second = await RtpCounter.open();
      await play({ scenario: 'update', protocol, number: 'talker', keys: { second_port: second.port } });
      await record('update', protocol);
      expect(second.packetsOf(0)).toBeGreaterThan(10);
      await second.close();
    });

    it.concurrent('OPTIONS outside a call', async () => {
      await play({ scenario: 'options', protocol, number: 'talker' });
    });

    it.concurrent('requests inside no dialog', async () => {
      const { trace } = await play({ scenario: 'unknown-dialog', protocol, number: 'talker' });
      expect(trace.filter(({ direction }) => direction === 'received')).toHaveLength(2);
    });

    it.concurrent('an INVITE without a Contact', async () => {
      await play({ scenario: 'no-contact', protocol, number: 'talker' });
      expect(under.log.events('call.received', `no-contact-${protocol}-1`)).toEqual([]);
    });

    it.concurrent.each([
      { why: 'none of our codecs', number: 'listener', formats: '18 3', status: 488, reason: 'not_acceptable' },
      { why: 'a number without a route', number: 'nobody', status: 404, reason: 'no_route' },
      { why: 'a key Pranthora refuses', number: 'refuses', status: 500, reason: 'agent_configuration' },
      { why: 'an agent out of reach', number: 'unreachable', status: 503, reason: 'agent_unreachable' },
    ])('refused with $status: $why', async ({ number, formats = '0', status, reason }) => {
      const name = `${reason}-${protocol}`;
      const { trace, report } = await play({ scenario: 'refused', protocol, number, name, keys: { formats } });
      const final = trace.find(({ message }) => message.status >= 300)?.message;
      expect(final?.status, report).toBe(status);
      expect(final?.header('Warning')).toMatch(/^399 pranthora-sip-bridge ".+"$/);
      expect(final?.header('Retry-After')).toBe(status === 503 ? '5' : '');
      expect(await under.record(`${name}-1`)).toMatchObject({ reason, sipStatus: status });
    });

    it.concurrent('refused with 503: at capacity', async () => {
      const number = `single-${protocol}`;
      const [name, next] = [`first-${number}`, `next-${number}`];
      const first = play({ scenario: 'uac', protocol, number, name, talkMs: 1_500 });
      await Promise.race([first, under.log.wait('call.answered', `${name}-1`)]);
      const { trace } = await play({ scenario: 'refused', protocol, number, name: next, keys: { formats: '0' } });
      const final = trace.find(({ message }) => message.status >= 300)?.message;
      expect(final?.status).toBe(503);
      expect(final?.header('Retry-After')).toBe('5');
      expect(await under.record(`${next}-1`)).toMatchObject({ reason: 'at_capacity', sipStatus: 503 });
      await first;
    });
  });

  it.concurrent('a retransmitted INVITE is one call', async () => {
    const options = { scenario: 'retransmitted-invite', protocol: 'udp', number: 'slow', retransmits: false } as const;
    const { trace } = await play(options);
    await record('retransmitted-invite', 'udp');
    const [first, again] = trace.filter(({ message }) => message.status === 180);
    expect(again?.message.raw).toBe(first?.message.raw);
    expect(under.log.events('call.received', 'retransmitted-invite-udp-1')).toHaveLength(1);
  });

  it.concurrent.each(PROTOCOLS)('a lost 200 is repeated after T1 and 2·T1 until the ACK, over %s', async (protocol) => {
    const options = { scenario: 'lost-200', protocol, number: 'listener', retransmits: false };
    const { trace } = await play(options);
    await record('lost-200', protocol);
    const [first, second, third] = trace.filter(({ message }) => message.status === 200);
    expect(second?.message.raw).toBe(first?.message.raw);
    expect(third?.message.raw).toBe(first?.message.raw);
    // Timers fire late when the processor is busy, never early.
    const gapsMs = [(second?.atMs ?? 0) - (first?.atMs ?? 0), (third?.atMs ?? 0) - (second?.atMs ?? 0)];
    expect(gapsMs[0]).toSatisfy(isBetween(490, 900));
    expect(gapsMs[1]).toSatisfy(isBetween(990, 1_800));
  });
});

describe.skipIf(!isInstalled('sipp'))(
  'sipp never sends the ACK (skipped when it is not installed)',
  FOREIGN_PHONE,
  () =>
    it.each(PROTOCOLS)('over %s: after 64·T1 the call is ended with a BYE that says why', async (protocol) => {
      const under = await BridgeUnderTest.start({ config: { call: { rtpTimeoutMs: 600_000 } } });
      const running = runSipp({ scenario: 'lost-ack', protocol, port: under.port(protocol), number: '100' });
      await under.log.wait('call.answered');
      await under.clock.pass(30_000, 100);
      expect(under.log.events('call.ended')).toEqual([]);
      await under.clock.pass(2_500, 100);
      const { exitCode, report, trace } = await running;
      expect(exitCode, report).toBe(0);
      const bye = trace.find(({ message }) => message.method === 'BYE' && message.status === 0);
      expect(bye?.message.header('Reason')).toMatch(/ACK/);
      expect(await under.record(`lost-ack-${protocol}-1`)).toMatchObject({ reason: 'no_ack', endedBy: 'bridge' });
      await under.stop();
    }),
);

function isBetween(least: number, most: number): (value: number | undefined) => boolean {
  return (value = NaN) => value >= least && value <= most;
}

/** A caller's RTP socket that says nothing: counts what comes, by payload type. */
class RtpCounter {
  firstAtMs = Infinity;
  lastAtMs = -Infinity;
  longestGapMs = 0;
  readonly #packets = new Map<number, number>();
  readonly #socket: Socket;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.on('message', (bytes) => {
      const payloadType = (bytes[1] ?? 0) & 0x7f;
      this.#packets.set(payloadType, this.packetsOf(payloadType) + 1);
      const nowMs = performance.now();
      if (this.lastAtMs > 0) this.longestGapMs = Math.max(this.longestGapMs, nowMs - this.lastAtMs);
      this.lastAtMs = nowMs;
      this.firstAtMs = Math.min(this.firstAtMs, this.lastAtMs);
    });
  }

  static async open(): Promise<RtpCounter> {
    const socket = createSocket('udp4');
    socket.bind(0, '127.0.0.1');
    await once(socket, 'listening');
    return new RtpCounter(socket);
  }

  get port(): number {
    return this.#socket.address().port;
  }

  packetsOf(payloadType: number): number {
    return this.#packets.get(payloadType) ?? 0;
  }

  async close(): Promise<void> {
    this.#socket.close();
    await once(this.#socket, 'close');
  }
}

const PART_SAMPLES = TELEPHONE_RATE_HZ / 4;
/** How far a part may be from its place, when sipp or the bridge had to wait for the processor. */
const SEARCH_SAMPLES = TELEPHONE_RATE_HZ / 2;

/**
 * The share of the parts of `speech`, a quarter of a second each, that were heard with every sample as it was: G.711 is
 * decoded by table, and a half-band filter keeps every second sample.
 */
function exactParts(speech: Int16Array, heard: Int16Array): number {
  const offset = matchSpeech(speech, heard, TELEPHONE_RATE_HZ)?.atSample ?? 0;
  let parts = 0;
  let exact = 0;
  for (let at = 0; at + PART_SAMPLES <= speech.length; at += PART_SAMPLES) {
    const from = Math.max(0, offset + at - SEARCH_SAMPLES);
    const around = heard.subarray(from, offset + at + PART_SAMPLES + SEARCH_SAMPLES);
    const match = matchSpeech(speech.subarray(at, at + PART_SAMPLES), around, TELEPHONE_RATE_HZ);
    parts += 1;
    if (match?.snrDb === Infinity) exact += 1;
  }
  return exact / parts;
}

const PCAP_HEADER_BYTES = 24;
const RECORD_HEADER_BYTES = 16;
/** Ethernet, IPv4, UDP and RTP without options. */
const PACKET_HEADER_BYTES = 14 + 20 + 8 + 12;

/** The number of packets of a capture of one PCMA stream, and what it says, at 8 kHz. */
function readRecording(file: string): [packets: number, speech: Int16Array] {
  const bytes = readFileSync(file);
  const payloads: Buffer[] = [];
  for (let at = PCAP_HEADER_BYTES; at < bytes.length;) {
    const end = at + RECORD_HEADER_BYTES + bytes.readUInt32LE(at + 8);
    payloads.push(bytes.subarray(at + RECORD_HEADER_BYTES + PACKET_HEADER_BYTES, end));
    at = end;
  }
  const payload = Buffer.concat(payloads);
  const speech = new Int16Array(payload.length);
  decodeG711('alaw', payload, 0, payload.length, speech, 0);
  return [payloads.length, speech];
}
