import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { matchSpeech } from '../../src/phone/audio-measure.js';
import { refuse } from '../../src/simulator/scenarios.js';
import type { Scenario, SimulatorSession } from '../../src/simulator/simulator-session.js';
import { EngineRig, eventually } from '../support/engine-rig.js';
import { COMBINATIONS, missingFor, titleOf, type Engines } from '../support/engines.js';
import { measuresRealTime } from '../support/real-time.js';
import { RtpPhone } from '../support/rtp-phone.js';
import { tone } from '../support/signal.js';
import { branch, OFFER, PeerCall, respond } from '../support/sip-call.js';
import { UdpPeer, type SipText } from '../support/sip-peer.js';
import { packetsWith, toneQuality } from '../support/tone-heard.js';

measuresRealTime();

const LEVEL_DBM0 = -10;
const CALLER_HZ = 1_020;
const AGENT_HZ = 620;
const TALK_MS = 2_500;

/** Before and after an interruption: whole periods in a packet, so that neither sounds like the other. */
const OLD_HZ = 600;
const NEW_HZ = 1_000;
const NEW_MS = 400;

/** The greeting's first half comes before the agent is ready. */
const GREETING_MS = 1_000;
const GREETING = chirp(GREETING_MS, 16_000);
const FAREWELL_HZ = 800;
const FAREWELL_MS = 1_000;

const agentSays = (frequencyHz: number, durationMs: number): Int16Array =>
  tone({ rateHz: 16_000, frequencyHz, levelDbm0: LEVEL_DBM0, durationMs });

const AGENTS: Readonly<Record<string, Scenario>> = {
  talker: {
    onOpen: (session) => {
      session.start();
      session.say(agentSays(AGENT_HZ, 20_000));
    },
  },
  listener: {},
  greets: {
    onOpen: (session) => {
      session.say(GREETING.subarray(0, GREETING.length / 2));
      session.after(50, () => {
        session.start();
        session.say(GREETING.subarray(GREETING.length / 2));
      });
    },
  },
  interrupts: {
    onOpen: (session) => {
      session.start();
      session.say(agentSays(OLD_HZ, 20_000));
      session.after(1_000, () => {
        session.interrupt();
        session.after(100, () => session.say(agentSays(NEW_HZ, NEW_MS)));
      });
    },
  },
  'hangs-up': {
    onOpen: (session) => {
      session.start();
      session.after(300, () =>
        session.say(agentSays(FAREWELL_HZ, FAREWELL_MS), () => session.close(1000, 'Call terminated by agent')),
      );
    },
  },
  'never-starts': { onOpen: () => undefined },
  refuses: refuse(4001, 'Unauthorized'),
};

const ROUTES = [
  { did: 'unreachable', agentId: 'listener', url: 'ws://127.0.0.1:9' },
  { did: 'single', agentId: 'listener', maxConcurrent: 1 },
];

/** After the agent is ready; from there the endpoints are made, bridged, and the call is answered. */
const CANCEL_AFTER_MS = [0, 5, 10, 15, 20, 25, 30, 40, 50, 60, 80, 100];

describe.each(COMBINATIONS.map((engines) => [titleOf(engines), engines] as const))('%s', (_title, engines) => {
  describe.skipIf(missingFor(engines).length > 0)('carries calls', () => {
    let rig: EngineRig;
    let phones: Phone[] = [];

    beforeAll(async () => {
      rig = await EngineRig.start({ engines, agents: AGENTS, routes: ROUTES });
    }, 600_000);

    afterEach(async () => {
      await rig.hangUp();
      await Promise.all(phones.map((phone) => phone.close()));
      phones = [];
      await rig.nothingHeld();
    });

    afterAll(async () => {
      await rig.stop();
    });

    async function phone(payloadType: 0 | 8 = 0): Promise<Phone> {
      const opened = await Phone.open(rig, payloadType);
      phones.push(opened);
      return opened;
    }

    it.each(['PCMU', 'PCMA'] as const)('%s: each side hears the other at its level', async (codec) => {
      const call = rig.call('talker', { codec, from: codec });
      const said = call.play(
        tone({ rateHz: 8_000, frequencyHz: CALLER_HZ, levelDbm0: LEVEL_DBM0, durationMs: TALK_MS }),
      );
      await call.answered;
      await said;
      await call.hangUp();

      const heardByAgent = toneQuality(rig.session('talker').receivedAudio(), 16_000, CALLER_HZ);
      const heardByCaller = toneQuality(call.heard.timeline(), 8_000, AGENT_HZ);
      for (const { levelDbm0, snrDb } of [heardByAgent, heardByCaller]) {
        expect(Math.abs(levelDbm0 - LEVEL_DBM0)).toBeLessThan(0.3);
        expect(snrDb).toBeGreaterThan(36);
      }
      expect(await rig.recordFrom(codec)).toMatchObject({
        ...expectedEngines(engines),
        codec,
        reason: 'caller_hangup',
        outcome: 'completed',
        uplink: { malformed: 0 },
        downlink: { sendErrors: 0 },
      });
    });

    it('plays all of a greeting that began before the agent was ready', async () => {
      const call = rig.call('greets', { from: 'greeted' });
      await call.answered;
      await eventually(() => expect(call.heard.timeline().length).toBeGreaterThan((GREETING_MS + 500) * 8));
      await call.hangUp();
      const heard = call.heard.timeline();
      const atSample = matchSpeech(chirp(GREETING_MS, 8_000), heard, 8_000)?.atSample ?? NaN;
      expect(atSample).toBeGreaterThanOrEqual(0);
      // FreeSWITCH may miss a packet when the machine is busy; two frames are then not as they were.
      expect(framesHeard(heard.subarray(atSample))).toBeGreaterThanOrEqual(GREETING_MS / 20 - 2);
    });

    it('is silent soon after an interruption, and plays what comes next', async () => {
      const call = rig.call('interrupts', { from: 'interrupted' });
      await call.answered;
      const interruptedAtMs = await interruption(rig.session('interrupts'));
      await eventually(() =>
        expect(packetsWith(NEW_HZ, call.heard.packets).length).toBeGreaterThanOrEqual(NEW_MS / 20),
      );
      await call.hangUp();
      const old = packetsWith(OLD_HZ, call.heard.packets);
      expect(old.length).toBeGreaterThan(20);
      // A measurement has its own place; on a machine that runs other tests beside it this is what can be held.
      expect((old.at(-1)?.arrivedMs ?? NaN) - interruptedAtMs).toBeLessThan(150);
      expect((await rig.recordFrom('interrupted')).interruptions).toHaveLength(1);
    });

    it('plays the farewell of an agent that hangs up, and ends the call with a BYE', async () => {
      const call = rig.call('hangs-up', { from: 'farewell' });
      expect(await call.ended).toMatchObject({ by: 'callee' });
      expect(packetsWith(FAREWELL_HZ, call.heard.packets).length).toBeGreaterThanOrEqual(FAREWELL_MS / 20 - 1);
      expect(await rig.recordFrom('farewell')).toMatchObject({ reason: 'agent_hangup', endedBy: 'agent' });
    });

    it('lets everything go at the caller’s BYE', async () => {
      const call = rig.call('listener', { from: 'short' });
      await call.answered;
      await call.hangUp();
      expect(call.ending).toMatchObject({ by: 'caller' });
      expect(await rig.recordFrom('short')).toMatchObject({ reason: 'caller_hangup' });
    });

    it('CANCEL while the agent is being connected', async () => {
      const call = rig.call('never-starts', { from: 'early-cancel' });
      call.once('ringing', () => call.cancel());
      expect((await call.ended).reason).toMatch(/^487/);
      expect(await rig.recordFrom('early-cancel')).toMatchObject({ reason: 'caller_cancel', sipStatus: 487 });
    });

    it.each(CANCEL_AFTER_MS)('CANCEL %i ms after the agent was ready', async (delayMs) => {
      const from = `cancel-${delayMs}`;
      const ready = new Promise((resolve) =>
        rig.simulator.once('session', (session) => session.once('started', resolve)),
      );
      const call = rig.call('listener', { from });
      await ready;
      if (delayMs > 0) await sleep(delayMs);
      call.cancel();
      await call.hangUp();
      // Either it came in time, or there is a call, which is then ended as any other.
      const { reason, sipStatus } = await rig.recordFrom(from);
      expect(['caller_cancel 487', 'caller_hangup 200']).toContain(`${reason} ${sipStatus}`);
    });

    it('INVITEs of one Call-ID: another one rings by itself, a copy gets 482', async () => {
      const { call, peer } = await phone();
      const uri = rig.uri('never-starts');
      const ways = { first: branch(), copy: branch(), other: branch() };
      call.send('INVITE', { uri, body: OFFER, branch: ways.first });
      await peer.next('180 INVITE');
      // drachtio-server passes a copy on before the 180 alone, and never answers one that comes later.
      if (engines.sip === 'embedded') {
        call.send('INVITE', { uri, body: OFFER, branch: ways.copy });
        const toTag = (await peer.next('482 INVITE')).tag('To');
        call.send('ACK', { uri, branch: ways.copy, toTag });
      }
      call.send('INVITE', { uri, body: OFFER, branch: ways.other, fromTag: 'other' });
      expect((await peer.next('180 INVITE')).tag('From')).toBe('other');
      for (const [way, fromTag] of [
        [ways.other, 'other'],
        [ways.first, call.localTag],
      ] as const) {
        call.send('CANCEL', { uri, branch: way, fromTag });
        const refusal = await peer.next('487 INVITE');
        expect(refusal.tag('From')).toBe(fromTag);
        call.send('ACK', { uri, branch: way, fromTag, toTag: refusal.tag('To') });
      }
      await eventually(() => {
        const ends = rig.log.events('call.ended').filter(({ callId }) => callId === call.callId);
        expect(ends.map(({ reason }) => reason)).toEqual(['caller_cancel', 'caller_cancel']);
      });
    });

    it('hold and resume', async () => {
      const caller = await phone();
      await caller.establish('talker');
      await caller.hears();

      expect((await caller.reinvite(caller.rtp.sdp({ direction: 'sendonly', version: 2 }))).body).toContain(
        'a=recvonly',
      );
      caller.rtp.beSilent();
      const heldAtMs = performance.now();
      await sleep(400);
      // What was under way when the answer came.
      expect(caller.rtp.heardSince(heldAtMs + 100)).toBe(0);

      const { body } = await caller.reinvite(caller.rtp.sdp({ version: 3 }));
      expect(body).toContain('a=sendrecv');
      caller.rtp.talkTo(body);
      await caller.hears();
      await caller.hangUp();
      const changes = rig.log.events('call.renegotiated', caller.call.callId);
      expect(changes).toHaveLength(2);
    });

    it('RTP moved to another port', async () => {
      const caller = await phone();
      await caller.establish('talker');
      await caller.hears();
      const moved = await RtpPhone.open(0);
      try {
        const { body } = await caller.reinvite(moved.sdp({ version: 2 }));
        caller.rtp.beSilent();
        moved.talkTo(body);
        const movedAtMs = performance.now();
        await eventually(() => expect(moved.heardSince(movedAtMs)).toBeGreaterThan(10));
        expect(caller.rtp.heardSince(movedAtMs + 100)).toBe(0);
        const session = rig.session('talker');
        const from = session.receivedAudio().length;
        await eventually(() => {
          const { levelDbm0 } = toneQuality(session.receivedAudio().subarray(from), 16_000, 500);
          expect(Math.abs(levelDbm0 - LEVEL_DBM0)).toBeLessThan(0.5);
        });
        await caller.hangUp();
      } finally {
        await moved.close();
      }
    });

    it('an INVITE without an offer', async () => {
      const caller = await phone(8);
      const answer = await caller.invite('talker', '');
      expect(answer.body).toMatch(/^m=audio \d+ RTP\/AVP (?:9 )?0 8 101\r$/m);
      caller.call.ack(answer, { body: caller.rtp.sdp() });
      caller.rtp.talkTo(answer.body);
      await caller.hears();
      const session = rig.session('talker');
      await eventually(() => {
        const { levelDbm0 } = toneQuality(session.receivedAudio(), 16_000, 500);
        expect(Math.abs(levelDbm0 - LEVEL_DBM0)).toBeLessThan(0.5);
      });
      await caller.hangUp();
      expect(await rig.record(caller.call.callId)).toMatchObject({ codec: 'PCMA', reason: 'caller_hangup' });
    });

    it('speaks the codec the caller has first, in a re-INVITE too', async () => {
      const caller = await phone();
      const offer = (formats: string): string => caller.rtp.sdp().replace(/RTP\/AVP 0\b/, `RTP/AVP ${formats}`);
      const answer = await caller.invite('talker', offer('0 9 8'));
      expect(answer.body).toMatch(/^m=audio \d+ RTP\/AVP 0\b/m);
      caller.call.ack(answer);
      caller.rtp.talkTo(answer.body);
      await caller.hears();
      const { body } = await caller.reinvite(offer('9 0 8'));
      expect(body).toMatch(/^m=audio \d+ RTP\/AVP 9\b/m);
      await caller.hangUp();
    });

    it('DTMF', async () => {
      const caller = await phone();
      await caller.establish('talker');
      await caller.hears();
      for (const digit of [5, 11]) {
        caller.rtp.press(digit);
        await sleep(300);
      }
      await eventually(() => expect(rig.log.events('call.dtmf', caller.call.callId)).toHaveLength(2));
      await caller.hangUp();
    });

    it.each([
      { status: 404, number: 'nobody', reason: 'no_route' },
      { status: 488, number: 'listener', reason: 'not_acceptable', offer: OFFER.replace('RTP/AVP 0', 'RTP/AVP 3') },
      { status: 500, number: 'refuses', reason: 'agent_configuration' },
      { status: 503, number: 'unreachable', reason: 'agent_unreachable' },
    ])('$status: $reason', async ({ status, number, reason, offer = OFFER }) => {
      const caller = await phone();
      const refusal = await caller.refused(number, status, offer);
      expect(refusal.header('Warning')).toMatch(/^399 pranthora-sip-bridge ".+"$/);
      expect(refusal.header('Retry-After')).toBe(status === 503 ? '5' : '');
      expect(await rig.record(caller.call.callId)).toMatchObject({ reason, sipStatus: status });
    });

    it('503 at capacity', async () => {
      const first = rig.call('single', { from: 'first' });
      await first.answered;
      const second = await phone();
      expect((await second.refused('single', 503, OFFER)).header('Retry-After')).toBe('5');
      await first.hangUp();
      expect(await rig.record(second.call.callId)).toMatchObject({ reason: 'at_capacity' });
    });
  });

  it.skipIf(missingFor(engines).length > 0)(
    'speaks G.722 to whoever has it, where media.codecOrder is ours',
    async () => {
      const rig = await EngineRig.start({ engines, agents: AGENTS, config: { media: { codecOrder: 'ours' } } });
      const caller = await Phone.open(rig, 0);
      const answer = await caller.invite('listener', OFFER.replace('RTP/AVP 0', 'RTP/AVP 0 8 9'));
      expect(answer.body).toMatch(/^m=audio \d+ RTP\/AVP 9\r$/m);
      caller.call.ack(answer);
      await caller.hangUp();
      await caller.close();
      await rig.nothingHeld();
      await rig.stop();
    },
    600_000,
  );

  it.skipIf(missingFor(engines).length > 0)(
    '403 for a source address that is not in sip.allow',
    async () => {
      const rig = await EngineRig.start({ engines, agents: AGENTS, config: { sip: { allow: ['192.0.2.0/24'] } } });
      const caller = await Phone.open(rig, 0);
      await caller.refused('listener', 403, OFFER);
      expect(rig.simulator.sessions).toEqual([]);
      await caller.close();
      await rig.nothingHeld();
      await rig.stop();
    },
    600_000,
  );
});

function expectedEngines({ sip, media }: Engines): { sipEngine: string; mediaEngine: string } {
  return { sipEngine: sip, mediaEngine: media };
}

function interruption(session: SimulatorSession): Promise<number> {
  return new Promise((resolve) => {
    session.once('interrupted', resolve);
  });
}

/** A sine that rises from 300 to 3,000 Hz: nowhere like itself elsewhere, so that it is found where it is. */
function chirp(durationMs: number, rateHz: number): Int16Array {
  return Int16Array.from({ length: (durationMs * rateHz) / 1_000 }, (_, n) => {
    const sec = n / rateHz;
    return Math.round(8_000 * Math.sin(2 * Math.PI * (300 * sec + (2_700 * sec ** 2) / (durationMs / 500))));
  });
}

/** How many of the greeting's frames of 20 ms are heard as they were said. */
function framesHeard(heard: Int16Array): number {
  const said = chirp(GREETING_MS, 8_000);
  const frames = Array.from({ length: GREETING_MS / 20 }, (_, n) => [160 * n, 160 * (n + 1)] as const);
  return frames.filter(([from, to]) => {
    return snrDb(said.subarray(from, to), heard.subarray(from, to)) > 20;
  }).length;
}

/** Power of `said` over that of the difference, in dB. */
function snrDb(said: Int16Array, heard: Int16Array): number {
  const power = said.reduce((sum, sample) => sum + sample ** 2, 0);
  const difference = said.reduce((sum, sample, n) => sum + (sample - (heard[n] ?? 0)) ** 2, 0);
  return 10 * Math.log10(power / difference);
}

/** A telephone whose every message a test writes itself. */
class Phone {
  private constructor(
    readonly peer: UdpPeer,
    readonly call: PeerCall,
    readonly rtp: RtpPhone,
    readonly rig: EngineRig,
  ) {}

  static async open(rig: EngineRig, payloadType: 0 | 8): Promise<Phone> {
    const peer = await UdpPeer.open(rig.sip);
    return new Phone(peer, new PeerCall(peer, rig.sip.port), await RtpPhone.open(payloadType), rig);
  }

  /** Resolves to the 200. */
  async invite(number: string, offer: string): Promise<SipText> {
    this.call.invite({ uri: this.rig.uri(number), body: offer });
    return this.peer.next('200 INVITE');
  }

  /** Until the caller talks. */
  async establish(number: string): Promise<void> {
    const answer = await this.invite(number, this.rtp.sdp());
    this.call.ack(answer);
    this.rtp.talkTo(answer.body);
  }

  /** Resolves to the refusal, acknowledged. */
  async refused(number: string, status: number, offer: string): Promise<SipText> {
    this.call.invite({ uri: this.rig.uri(number), body: offer });
    const refusal = await this.peer.next(`${status} INVITE`);
    this.call.ack(refusal, { uri: this.rig.uri(number) });
    return refusal;
  }

  /** Resolves to the 200, acknowledged. */
  async reinvite(offer: string): Promise<SipText> {
    this.call.sequence += 1;
    this.call.invite({ body: offer });
    const answer = await this.peer.next('200 INVITE');
    this.call.ack(answer);
    return answer;
  }

  /** Resolves when the agent has been heard for a while from now on. */
  async hears(): Promise<void> {
    const fromMs = performance.now();
    await eventually(() => expect(this.rtp.heardSince(fromMs)).toBeGreaterThan(10));
  }

  async hangUp(): Promise<void> {
    this.call.next('BYE');
    await this.peer.next('200 BYE');
  }

  /** Leaves no call behind, also when the test has failed in one. */
  async close(): Promise<void> {
    const isInCall = this.peer.count('200 INVITE') > 0 && this.peer.count('200 BYE') + this.peer.count('BYE') === 0;
    if (isInCall) this.call.next('BYE');
    for (const bye of this.peer.received.filter(({ status, method }) => status === 0 && method === 'BYE')) {
      respond(this.peer, bye, '200 OK');
    }
    await this.rtp.close();
    await this.peer.close();
  }
}
