import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { Scenario } from '../../src/simulator/simulator-session.js';
import { EngineRig, eventually } from '../support/engine-rig.js';
import { COMBINATIONS, missingFor, titleOf } from '../support/engines.js';
import { measuresRealTime } from '../support/real-time.js';
import { RtpPhone } from '../support/rtp-phone.js';
import { PeerCall, respond } from '../support/sip-call.js';
import { UdpPeer, type SipText } from '../support/sip-peer.js';
import { tone } from '../support/signal.js';
import { toneQuality } from '../support/tone-heard.js';

measuresRealTime();

const AGENTS: Readonly<Record<string, Scenario>> = {
  talker: {
    onOpen: (session) => {
      session.start();
      session.say(tone({ rateHz: 16_000, frequencyHz: 620, levelDbm0: -10, durationMs: 20_000 }));
    },
  },
};

/** What RtpPhone says. */
const CALLER_HZ = 500;

describe.each(COMBINATIONS.map((engines) => [titleOf(engines), engines] as const))('%s', (_title, engines) => {
  describe.skipIf(missingFor(engines).length > 0)('attended transfer to the bridge', () => {
    let rig: EngineRig;
    let phones: Phone[] = [];

    beforeAll(async () => {
      rig = await EngineRig.start({ engines, agents: AGENTS });
    }, 600_000);

    afterEach(async () => {
      await Promise.all(phones.map((phone) => phone.close()));
      phones = [];
      await rig.nothingHeld();
    });

    afterAll(async () => {
      await rig.stop();
    });

    async function phone(payloadType: 0 | 8): Promise<Phone> {
      const opened = await Phone.open(rig, payloadType);
      phones.push(opened);
      return opened;
    }

    /** A caller whom the agent hears and who hears it. */
    async function established(): Promise<Phone> {
      const first = await phone(0);
      const answer = await first.invite(first.rtp.sdp());
      first.call.ack(answer);
      first.rtp.talkTo(answer.body);
      await first.hears();
      return first;
    }

    /** The second caller is in the first one's place, who has got his BYE and, though it talks on, is not heard and hears nothing. */
    async function expectReplaced(first: Phone, second: Phone): Promise<void> {
      const bye = await first.peer.next('BYE');
      respond(first.peer, bye, '200 OK');
      const replacedAtMs = performance.now();
      const session = rig.session('talker');
      const from = session.receivedAudio().length;
      await second.hears();
      await eventually(() => {
        const heard = session.receivedAudio().subarray(from + 16_000);
        expect(heard.length).toBeGreaterThan(16_000);
        expect(Math.abs(toneQuality(heard, 16_000, CALLER_HZ).levelDbm0 + 10)).toBeLessThan(1);
      });
      expect(first.rtp.heardSince(replacedAtMs + 100)).toBe(0);
      expect(rig.log.events('agent.connected', first.call.callId)).toHaveLength(1);
    }

    it.each([
      ['with an offer', (rtp: RtpPhone) => rtp.sdp()],
      ['from behind NAT', (rtp: RtpPhone) => rtp.sdp().replace('c=IN IP4 127.0.0.1', 'c=IN IP4 10.255.255.1')],
    ])('%s: the agent goes on with the other caller, in another codec', async (_how, offerOf) => {
      const first = await established();
      const second = await phone(8);
      const answer = await second.invite(offerOf(second.rtp), [`Replaces: ${first.named}`, 'Require: replaces']);
      expect(answer.header('Supported')).toContain('replaces');
      expect(answer.body).toMatch(/^m=audio \d+ RTP\/AVP 8\b/m);
      second.call.ack(answer);
      second.rtp.talkTo(answer.body);
      await expectReplaced(first, second);
      await second.hangUp();
      expect(await rig.record(first.call.callId)).toMatchObject({
        ...{ codec: 'PCMA', reason: 'caller_hangup', replacedBy: [second.call.callId] },
      });
    });

    it('without an offer', async () => {
      const first = await established();
      const second = await phone(8);
      const answer = await second.invite('', [`Replaces: ${first.named}`]);
      second.call.ack(answer, { body: second.rtp.sdp() });
      second.rtp.talkTo(answer.body);
      await expectReplaced(first, second);
      await second.hangUp();
      expect(await rig.record(first.call.callId)).toMatchObject({ codec: 'PCMA', replacedBy: [second.call.callId] });
    });

    it('is refused where there is nothing to replace, or no more', async () => {
      const first = await established();
      const stranger = await phone(8);
      await stranger.refused(481, `${first.call.callId};to-tag=guessed;from-tag=${first.call.localTag}`);
      await stranger.refused(486, `${first.named};early-only`);
      await stranger.refused(400, first.call.callId);
      await first.hangUp();
      await stranger.refused(603, first.named);
    });
  });
});

/** A telephone whose every message a test writes itself. */
class Phone {
  call: PeerCall;

  private constructor(
    readonly peer: UdpPeer,
    readonly rtp: RtpPhone,
    readonly rig: EngineRig,
  ) {
    this.call = this.#newCall();
  }

  static async open(rig: EngineRig, payloadType: 0 | 8): Promise<Phone> {
    return new Phone(await UdpPeer.open(rig.sip), await RtpPhone.open(payloadType), rig);
  }

  /** Its call, as a Replaces header has it. */
  get named(): string {
    return `${this.call.callId};to-tag=${this.call.remoteTag};from-tag=${this.call.localTag}`;
  }

  /** Resolves to the 200. */
  async invite(offer: string, headers: readonly string[] = []): Promise<SipText> {
    this.call.invite({ uri: this.rig.uri('talker'), body: offer, headers });
    return this.peer.next('200 INVITE');
  }

  /** An INVITE of a call of its own, refused. */
  async refused(status: number, replaces: string): Promise<void> {
    this.call = this.#newCall();
    this.call.invite({ uri: this.rig.uri('talker'), body: this.rtp.sdp(), headers: [`Replaces: ${replaces}`] });
    this.call.ack(await this.peer.next(`${status} INVITE`), { uri: this.rig.uri('talker') });
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

  async close(): Promise<void> {
    await this.rtp.close();
    await this.peer.close();
  }

  #newCall(): PeerCall {
    return new PeerCall(this.peer, this.rig.sip.port);
  }
}
