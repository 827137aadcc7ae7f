import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { DrachtioSipEndpoint } from '../../src/signaling/drachtio.js';
import {
  RenegotiationRefused,
  type Dialog,
  type DialogHandlers,
  type IncomingInvite,
  type RenegotiationRequest,
} from '../../src/signaling/sip-endpoint.js';
import { AgentRig } from '../support/agent-rig.js';
import { FakeClock } from '../support/fake-clock.js';
import { RecordingLogger } from '../support/recording-logger.js';
import { ANSWER, OFFER, PeerCall, respond } from '../support/sip-call.js';
import type { UdpPeer } from '../support/sip-peer.js';

const SECRET = 'of the test';

/** A hundred times as fast as on a network. */
const FAST = { t1Ms: 5, t2Ms: 40, t4Ms: 50 };

/** What our dialog hears. */
class Heard implements DialogHandlers {
  readonly ends: { byPeer: boolean; reason: string }[] = [];
  readonly acks: (string | undefined)[] = [];
  readonly requests: RenegotiationRequest[] = [];
  respond: (request: RenegotiationRequest) => Promise<string | undefined> = () => Promise.resolve(ANSWER);

  onEnd(end: { byPeer: boolean; reason: string }): void {
    this.ends.push(end);
  }

  onAck(sdp: string | undefined): void {
    this.acks.push(sdp);
  }

  onRenegotiate(request: RenegotiationRequest): Promise<string | undefined> {
    this.requests.push(request);
    return this.respond(request);
  }
}

describe('a dialog through drachtio-srf', () => {
  let rig: AgentRig;
  let endpoint: DrachtioSipEndpoint;
  let peer: UdpPeer;
  let call: PeerCall;
  let heard: Heard;
  let clock: FakeClock;
  let dialog: Dialog;
  const invites: IncomingInvite[] = [];

  beforeEach(async () => {
    rig = await AgentRig.start({ secret: SECRET, timers: FAST });
    clock = new FakeClock();
    heard = new Heard();
    endpoint = new DrachtioSipEndpoint(
      { ...rig.addresses.wire, secret: SECRET, clock, logger: new RecordingLogger() },
      { onInvite: (invite) => invites.push(invite), onConnection: () => undefined },
    );
    expect(await endpoint.connect()).toBe(true);
    peer = await rig.udpPeer();
    call = new PeerCall(peer, rig.port('udp'));
    dialog = await established();
  });

  afterEach(async () => {
    // Whoever is still in the call leaves it.
    const over = dialog.bye();
    if (heard.ends.length === 0) respond(peer, await peer.next('BYE'), '200 OK');
    await over;
    endpoint.close();
    await vi.waitFor(
      () => {
        expect(rig.agent.stats()).toMatchObject({
          dialogs: 0,
          serverTransactions: 0,
          clientTransactions: 0,
          clients: 0,
        });
      },
      { timeout: 5_000, interval: 10 },
    );
    expect(clock.pendingTimers).toBe(0);
    await rig.close();
    expect(rig.logger.events('sip.fault')).toEqual([]);
  });

  async function established(): Promise<Dialog> {
    const answered = call.establish();
    await vi.waitFor(() => {
      expect(invites).toHaveLength(1);
    });
    const made = invites.pop()?.answer(ANSWER, heard);
    await answered;
    if (!made) throw new Error('no INVITE');
    await vi.waitFor(() => {
      expect(heard.acks).toEqual([undefined]);
    });
    return made;
  }

  describe('re-INVITE of ours', () => {
    it('resolves to the answer, which is acknowledged', async () => {
      const answered = dialog.reinvite(OFFER);
      const invite = await peer.next('INVITE');
      expect(invite.body).toBe(OFFER);
      expect(invite.header('Content-Type')).toBe('application/sdp');
      expect(invite.header('Contact')).toContain(`127.0.0.1:${rig.port('udp')}`);
      expect([invite.tag('From'), invite.tag('To')]).toEqual([call.remoteTag, call.localTag]);
      respond(peer, invite, '200 OK', { body: ANSWER });
      expect(await answered).toBe(ANSWER);
      expect((await peer.next('ACK')).header('CSeq')).toBe(`${invite.header('CSeq').split(' ')[0] ?? ''} ACK`);
    });

    it.each(['100 Trying', '180 Ringing', '183 Session Progress'])(
      'waits for the end after a %s',
      async (provisional) => {
        const answered = dialog.reinvite(OFFER);
        const invite = await peer.next('INVITE');
        respond(peer, invite, provisional);
        respond(peer, invite, '200 OK', { body: ANSWER });
        expect(await answered).toBe(ANSWER);
        await peer.next('ACK');
      },
    );

    it.each(['488 Not Acceptable Here', '603 Decline', '302 Moved Temporarily', '481 Gone'])(
      'rejects with what the caller said: %s',
      async (refusal) => {
        const answered = dialog.reinvite(OFFER);
        respond(peer, await peer.next('INVITE'), refusal);
        await expect(answered).rejects.toMatchObject({ name: 'CallRefused', status: Number(refusal.slice(0, 3)) });
        await peer.next('ACK');
      },
    );

    it('may be tried again after a refusal', async () => {
      const refused = dialog.reinvite(OFFER);
      respond(peer, await peer.next('INVITE'), '488 Not Acceptable Here');
      await expect(refused).rejects.toMatchObject({ status: 488 });
      const answered = dialog.reinvite(OFFER);
      respond(peer, await peer.next('INVITE'), '200 OK', { body: ANSWER });
      expect(await answered).toBe(ANSWER);
      await peer.next('ACK');
    });

    it('rejects when nothing comes in time; the answer that comes after all is acknowledged', async () => {
      const answered = dialog.reinvite(OFFER);
      const outcome = expect(answered).rejects.toThrow('the re-INVITE was not answered within 4000 ms');
      const invite = await peer.next('INVITE');
      respond(peer, invite, '183 Session Progress');
      clock.advance(4_000);
      await outcome;
      respond(peer, invite, '200 OK', { body: ANSWER });
      await peer.next('ACK');
    });

    it('is not sent once the caller has hung up', async () => {
      call.next('BYE');
      await peer.next('200 BYE');
      await vi.waitFor(() => {
        expect(heard.ends).toEqual([{ byPeer: true, reason: 'normal release' }]);
      });
      await expect(dialog.reinvite(OFFER)).rejects.toThrow('the dialog is over');
      expect(peer.count('INVITE')).toBe(0);
    });

    it('rejects when the caller hangs up instead', async () => {
      const answered = dialog.reinvite(OFFER);
      const outcome = expect(answered).rejects.toThrow();
      const invite = await peer.next('INVITE');
      call.next('BYE');
      await peer.next('200 BYE');
      respond(peer, invite, '487 Request Terminated');
      await outcome;
      expect(heard.ends).toHaveLength(1);
    });

    it("rejects with 491 while one of the caller's is unanswered", async () => {
      let decide: (answer: string) => void = () => undefined;
      heard.respond = () => new Promise((resolve) => (decide = resolve));
      call.sequence += 1;
      call.invite();
      await vi.waitFor(() => {
        expect(heard.requests).toHaveLength(1);
      });
      await expect(dialog.reinvite(OFFER)).rejects.toMatchObject({ name: 'CallRefused', status: 491 });
      decide(ANSWER);
      call.ack(await peer.next('200 INVITE'));
    });
  });

  describe('re-INVITE of theirs', () => {
    it('is answered when the handler has made up its mind', async () => {
      let decide: (answer: string) => void = () => undefined;
      heard.respond = () => new Promise((resolve) => (decide = resolve));
      call.sequence += 1;
      call.invite();
      await vi.waitFor(() => {
        expect(heard.requests).toEqual([{ offer: OFFER, method: 'INVITE' }]);
      });
      expect(peer.count('200 INVITE')).toBe(1); // of the first INVITE
      decide(ANSWER.replace('50000', '50002'));
      const answer = await peer.next('200 INVITE');
      expect(answer.body).toContain('50002');
      expect(answer.header('Content-Type')).toBe('application/sdp');
      call.ack(answer);
    });

    it.each([
      { why: new RenegotiationRefused(488, 'none of PCMU, PCMA'), status: 488 },
      { why: new Error('FreeSWITCH fs:8021, re-INVITE: no answer within 3000 ms'), status: 500 },
    ])('is refused with $status when the handler rejects', async ({ why, status }) => {
      heard.respond = () => Promise.reject(why);
      call.sequence += 1;
      call.invite();
      const refusal = await peer.next(`${status} INVITE`);
      expect(refusal.header('Warning')).toContain(why.message);
      call.ack(refusal);
      // And the call goes on.
      heard.respond = () => Promise.resolve(ANSWER);
      call.sequence += 1;
      call.invite();
      call.ack(await peer.next('200 INVITE'));
    });

    it('does no harm when the caller hangs up before it is answered', async () => {
      let decide: (answer: string) => void = () => undefined;
      heard.respond = () => new Promise((resolve) => (decide = resolve));
      call.sequence += 1;
      call.invite();
      await vi.waitFor(() => {
        expect(heard.requests).toHaveLength(1);
      });
      call.next('BYE');
      await peer.next('200 BYE');
      await vi.waitFor(() => {
        expect(heard.ends).toHaveLength(1);
      });
      decide(ANSWER);
      await vi.waitFor(() => {
        expect(peer.count('487 INVITE') + peer.count('200 INVITE')).toBe(2);
      });
      if (peer.count('487 INVITE') > 0) call.ack(await peer.next('487 INVITE'));
    });
  });
});
