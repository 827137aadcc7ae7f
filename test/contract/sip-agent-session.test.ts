import { once } from 'node:events';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { SipAgentOptions } from '../../src/sip-agent/agent.js';
import { AgentRig } from '../support/agent-rig.js';
import { FakeClock } from '../support/fake-clock.js';
import { ANSWER, OFFER, PeerCall, respond } from '../support/sip-call.js';
import type { SipPeer, SipText } from '../support/sip-peer.js';
import { answer, hangUp, type TestDialog } from '../support/srf-client.js';

const ALLOW_UPDATE = 'Allow: INVITE, ACK, BYE, CANCEL, UPDATE';
const SUPPORTED = 'Supported: timer';

/** Session timers over real sockets with drachtio-srf behind, on a clock that the tests move. */
describe('session timers', () => {
  let clock: FakeClock;
  let rig: AgentRig;
  let peer: SipPeer;
  let call: PeerCall;

  async function begin(options: Partial<SipAgentOptions> = {}): Promise<void> {
    clock = new FakeClock();
    rig = await (await AgentRig.start({ clock, ...options })).withClient();
    peer = await rig.peer('udp');
    call = new PeerCall(peer, rig.port('udp'));
  }

  beforeEach(async () => {
    await begin();
  });

  afterEach(async () => {
    expect(rig.logger.events('sip.fault')).toEqual([]);
    await rig.close();
    expect(rig.agent.stats()).toMatchObject({ dialogs: 0, serverTransactions: 0, clientTransactions: 0, clients: 0 });
    expect(clock.pendingTimers).toBe(0);
  });

  /** The peer calls; returns the dialog and our 200. */
  async function establish(headers: readonly string[]): Promise<{ dialog: TestDialog; ok: SipText }> {
    const answered = call.establish({ headers });
    const { request, response } = await rig.nextInvite();
    const dialog = await answer(rig.srf, request, response, ANSWER);
    const acknowledged = once(dialog, 'ack');
    const ok = await answered;
    await acknowledged;
    return { dialog, ok };
  }

  /** The application calls the peer, which answers with these headers. */
  async function callPeer(asked: Record<string, string>, headers: readonly string[]) {
    const calling = rig.srf.createUAC(
      `sip:peer@127.0.0.1:${peer.port}`,
      { localSdp: OFFER, headers: asked },
      {},
    ) as Promise<TestDialog>;
    const invite = await peer.next('INVITE');
    respond(peer, invite, '200 OK', { tag: 'callee', headers, body: ANSWER });
    const dialog = await calling;
    await peer.next('ACK');
    return { dialog, invite };
  }

  /** Resolves when the agent has dealt with all that the peer has sent so far. */
  async function settled(): Promise<void> {
    new PeerCall(peer, rig.port('udp')).send('OPTIONS');
    await peer.next('200 OPTIONS');
  }

  async function pass(seconds: number): Promise<void> {
    await settled();
    clock.advance(seconds * 1_000);
    await settled();
  }

  async function end(dialog: TestDialog): Promise<void> {
    const over = hangUp(dialog);
    respond(peer, await peer.next('BYE'), '200 OK');
    await over;
  }

  /** The agent has ended the call, and its client heard of it. */
  async function expectExpiry(dialog: TestDialog, destroyed = once(dialog, 'destroy')): Promise<void> {
    const bye = await peer.next('BYE');
    expect(bye.header('Reason')).toBe('SIP ;cause=200 ;text="Session timer expired"');
    const [, reason] = (await destroyed) as [unknown, string];
    expect(reason).toBe('Session timer expired');
    respond(peer, bye, '200 OK');
    await settled();
    expect(rig.agent.stats().dialogs).toBe(0);
  }

  describe('when we are called', () => {
    test.each([
      ['the peer names itself', ['Session-Expires: 90;refresher=uac', SUPPORTED], 'uac', 'timer'],
      ['the peer names nobody', ['Session-Expires: 90', SUPPORTED], 'uac', 'timer'],
    ])('%s: it refreshes, and the call lives past three refreshes', async (_, headers, refresher, require) => {
      const { dialog, ok } = await establish(headers);
      expect(ok.header('Session-Expires')).toBe(`90;refresher=${refresher}`);
      expect(ok.header('Require')).toBe(require);
      expect(ok.header('Supported')).toContain('timer');
      for (let refresh = 0; refresh < 3; refresh++) {
        await pass(45);
        call.next('UPDATE', { headers: ['Session-Expires: 90;refresher=uac', SUPPORTED] });
        const updated = await peer.next('200 UPDATE');
        expect(updated.header('Session-Expires')).toBe('90;refresher=uac');
        expect(updated.header('Require')).toBe('timer');
      }
      await pass(59);
      expect(peer.count('BYE')).toBe(0);
      await end(dialog);
    });

    test.each([
      ['the peer names us', ['Session-Expires: 90;refresher=uas', SUPPORTED], 'timer'],
      ['a proxy asks, for a peer that knows no timer', ['Session-Expires: 90'], ''],
    ])('%s: we refresh by re-INVITE, and the call lives past three refreshes', async (_, headers, require) => {
      const { dialog, ok } = await establish(headers);
      expect(ok.header('Session-Expires')).toBe('90;refresher=uas');
      expect(ok.header('Require')).toBe(require);
      for (let refresh = 0; refresh < 3; refresh++) {
        await pass(45);
        const invite = await peer.next('INVITE');
        expect(invite.header('Session-Expires')).toBe('90;refresher=uac');
        expect(invite.header('Supported')).toBe('timer');
        expect(invite.header('Content-Type')).toBe('application/sdp');
        expect(invite.body).toBe(ANSWER);
        respond(peer, invite, '200 OK', { headers: ['Session-Expires: 90;refresher=uac'], body: OFFER });
        const ack = await peer.next('ACK');
        expect(ack.header('CSeq')).toBe(invite.header('CSeq').replace('INVITE', 'ACK'));
        // The ACK was lost.
        respond(peer, invite, '200 OK', { headers: ['Session-Expires: 90;refresher=uac'], body: OFFER });
        expect((await peer.next('ACK')).raw).toBe(ack.raw);
      }
      await pass(44);
      expect(peer.count('INVITE')).toBe(3);
      await end(dialog);
    });

    test('we refresh by UPDATE where the peer allows it', async () => {
      const { dialog } = await establish(['Session-Expires: 90;refresher=uas', SUPPORTED, ALLOW_UPDATE]);
      for (let refresh = 0; refresh < 3; refresh++) {
        await pass(45);
        const update = await peer.next('UPDATE');
        expect(update.header('Session-Expires')).toBe('90;refresher=uac');
        expect(update.header('Contact')).not.toBe('');
        expect(update.body).toBe('');
        respond(peer, update, '200 OK', { headers: ['Session-Expires: 90;refresher=uac'] });
      }
      await pass(44);
      expect(peer.count('INVITE')).toBe(0);
      await end(dialog);
    });

    test('no timer where nobody asks for one', async () => {
      const { dialog, ok } = await establish([SUPPORTED, ALLOW_UPDATE]);
      expect(ok.headers('Session-Expires')).toEqual([]);
      expect(ok.headers('Require')).toEqual([]);
      await pass(10_000);
      expect(peer.count('UPDATE') + peer.count('INVITE') + peer.count('BYE')).toBe(0);
      await end(dialog);
    });

    test('an interval of our own wish', async () => {
      await rig.close();
      await begin({ session: { wantedS: 300 } });
      const { dialog, ok } = await establish([SUPPORTED, ALLOW_UPDATE]);
      expect(ok.header('Session-Expires')).toBe('300;refresher=uac');
      await pass(267);
      expect(peer.count('BYE')).toBe(0);
      clock.advance(1_000);
      await expectExpiry(dialog);
    });

    test('too short an interval: 422 with our minimum, and nobody is asked', async () => {
      call.invite({ headers: ['Session-Expires: 60', SUPPORTED] });
      const refused = await peer.next('422 INVITE');
      expect(refused.startLine).toBe('SIP/2.0 422 Session Interval Too Small');
      expect(refused.header('Min-SE')).toBe('90');
      call.ack(refused);
      expect(rig.offered).toEqual([]);
    });

    test('inside the call too: 422, and the session goes on as it was', async () => {
      const { dialog } = await establish(['Session-Expires: 90;refresher=uac', SUPPORTED]);
      for (const method of ['UPDATE', 'INVITE']) {
        call.next(method, { headers: ['Session-Expires: 30', SUPPORTED], body: OFFER, branch: 'z9hG4bKre' });
        const refused = await peer.next(`422 ${method}`);
        expect(refused.header('Min-SE')).toBe('90');
        if (method === 'INVITE') call.send('ACK', { branch: 'z9hG4bKre' });
      }
      await settled();
      clock.advance(60_000);
      await expectExpiry(dialog);
    });

    test('the peer does not refresh: BYE in time, and the client hears why', async () => {
      const { dialog } = await establish(['Session-Expires: 90;refresher=uac', SUPPORTED]);
      await pass(59);
      expect(peer.count('BYE')).toBe(0);
      clock.advance(1_000);
      await expectExpiry(dialog);
    });

    test('a refresh with an offer reaches the client as any re-INVITE, and its 200 keeps the session', async () => {
      const { dialog } = await establish(['Session-Expires: 90;refresher=uac', SUPPORTED]);
      const refreshed = once(dialog, 'refresh');
      await pass(45);
      call.sequence += 1;
      call.invite({ headers: ['Session-Expires: 90;refresher=uac', SUPPORTED] });
      await refreshed;
      const ok = await peer.next('200 INVITE');
      expect(ok.header('Session-Expires')).toBe('90;refresher=uac');
      expect(ok.body).toBe(ANSWER);
      call.ack(ok);
      await pass(59);
      expect(peer.count('BYE')).toBe(0);
      await end(dialog);
    });

    test('a re-INVITE without Session-Expires turns the timer off', async () => {
      const { dialog } = await establish(['Session-Expires: 90;refresher=uac', SUPPORTED]);
      call.sequence += 1;
      call.invite();
      const ok = await peer.next('200 INVITE');
      expect(ok.headers('Session-Expires')).toEqual([]);
      call.ack(ok);
      await pass(200);
      expect(peer.count('BYE')).toBe(0);
      await end(dialog);
    });

    test('what the client says of the session in its 200 is kept to', async () => {
      call.invite({ headers: ['Session-Expires: 1800', SUPPORTED, ALLOW_UPDATE] });
      const { response } = await rig.nextInvite();
      response.send(200, { body: ANSWER, headers: { 'Session-Expires': '120;refresher=uas' } });
      const ok = await peer.next('200 INVITE');
      expect(ok.header('Session-Expires')).toBe('120;refresher=uas');
      expect(ok.header('Require')).toBe('timer');
      call.ack(ok);
      await pass(60);
      respond(peer, await peer.next('UPDATE'), '481 Call/Transaction Does Not Exist');
      respond(peer, await peer.next('BYE'), '481 Call/Transaction Does Not Exist');
      await settled();
    });
  });

  describe('what becomes of a refresh of ours', () => {
    const REFRESHED = { headers: ['Session-Expires: 90;refresher=uac'] };
    let dialog: TestDialog;

    beforeEach(async () => {
      ({ dialog } = await establish(['Session-Expires: 90;refresher=uas', SUPPORTED, ALLOW_UPDATE]));
      await pass(45);
    });

    test.each(['481 Call/Transaction Does Not Exist', '408 Request Timeout'])('%s: BYE at once', async (status) => {
      const destroyed = once(dialog, 'destroy');
      respond(peer, await peer.next('UPDATE'), status);
      await expectExpiry(dialog, destroyed);
    });

    test('no answer at all: BYE before the session expires', async () => {
      await peer.next('UPDATE');
      const destroyed = once(dialog, 'destroy');
      clock.advance(15_000);
      await expectExpiry(dialog, destroyed);
    });

    test('422: again at once, with an interval that suits the peer, and from then on', async () => {
      respond(peer, await peer.next('UPDATE'), '422 Session Interval Too Small', { headers: ['Min-SE: 200'] });
      await pass(0);
      const again = await peer.next('UPDATE');
      expect(again.header('Session-Expires')).toBe('200;refresher=uac');
      expect(again.header('Min-SE')).toBe('200');
      respond(peer, again, '200 OK', { headers: ['Session-Expires: 200;refresher=uac'] });
      await pass(99);
      expect(peer.count('UPDATE')).toBe(2);
      await pass(1);
      const next = await peer.next('UPDATE');
      expect(next.header('Min-SE')).toBe('200');
      respond(peer, next, '200 OK', { headers: ['Session-Expires: 200;refresher=uac'] });
      await end(dialog);
    });

    test('422 again and again: no faster than any refusal, and it comes to an end', async () => {
      const refuse = async (minSe: number): Promise<void> => {
        respond(peer, await peer.next('UPDATE'), '422 Session Interval Too Small', { headers: [`Min-SE: ${minSe}`] });
      };
      await refuse(200);
      await pass(0);
      await refuse(300);
      await pass(7);
      expect(peer.count('UPDATE')).toBe(2);
      await pass(0.5);
      await refuse(400);
      const destroyed = once(dialog, 'destroy');
      await pass(7.5);
      await expectExpiry(dialog, destroyed);
    });

    test('491: again after a random wait of at most two seconds, as the Call-ID is not ours', async () => {
      respond(peer, await peer.next('UPDATE'), '491 Request Pending');
      await pass(2);
      respond(peer, await peer.next('UPDATE'), '200 OK', REFRESHED);
      await end(dialog);
    });

    test('405: by re-INVITE', async () => {
      respond(peer, await peer.next('UPDATE'), '405 Method Not Allowed');
      await pass(0);
      const invite = await peer.next('INVITE');
      respond(peer, invite, '200 OK', { ...REFRESHED, body: OFFER });
      await peer.next('ACK');
      await pass(45);
      expect(peer.count('INVITE')).toBe(2);
      respond(peer, await peer.next('INVITE'), '500 Server Internal Error');
      await pass(7.5);
      respond(peer, await peer.next('INVITE'), '200 OK', { ...REFRESHED, body: OFFER });
      await peer.next('ACK');
      await end(dialog);
    });

    test('the peer takes over', async () => {
      respond(peer, await peer.next('UPDATE'), '200 OK', { headers: ['Session-Expires: 90;refresher=uas'] });
      await pass(59);
      expect(peer.count('UPDATE')).toBe(1);
      clock.advance(1_000);
      await expectExpiry(dialog);
    });
  });

  test('a re-INVITE of the client waits for a refresh under way', async () => {
    const { dialog } = await establish(['Session-Expires: 90;refresher=uas', SUPPORTED]);
    await pass(45);
    const refresh = await peer.next('INVITE');
    const changed = ANSWER.replace('50000', '50002');
    const modified = dialog.modify(changed);
    // Sent after it on the same connection: when this arrives, the re-INVITE has been read.
    const asked = dialog.request({ method: 'INFO' });
    respond(peer, await peer.next('INFO'), '200 OK');
    await asked;
    expect(peer.count('INVITE')).toBe(1);
    respond(peer, refresh, '200 OK', { headers: ['Session-Expires: 90;refresher=uac'], body: OFFER });
    await peer.next('ACK');
    const reinvite = await peer.next('INVITE');
    expect(reinvite.body).toBe(changed);
    expect(reinvite.header('Session-Expires')).toBe('90;refresher=uac');
    respond(peer, reinvite, '200 OK', { headers: ['Session-Expires: 90;refresher=uac'], body: OFFER });
    await modified;
    await peer.next('ACK');
    await pass(45);
    const next = await peer.next('INVITE');
    expect(next.body).toBe(changed);
    respond(peer, next, '200 OK', { headers: ['Session-Expires: 90;refresher=uac'], body: OFFER });
    await peer.next('ACK');
    await end(dialog);
  });

  test('a refresh waits for an INVITE under way', async () => {
    const { dialog } = await establish(['Session-Expires: 90;refresher=uas', SUPPORTED]);
    dialog.on('modify', () => undefined);
    call.sequence += 1;
    call.invite();
    await peer.next('100 INVITE');
    await pass(47);
    expect(peer.count('INVITE')).toBe(0);
    call.cancelInside();
    await peer.next('487 INVITE');
    await pass(2);
    respond(peer, await peer.next('INVITE'), '200 OK', { body: OFFER });
    await peer.next('ACK');
    await end(dialog);
  });

  test('a BYE of the client takes back a refresh under way', async () => {
    const { dialog } = await establish(['Session-Expires: 90;refresher=uas', SUPPORTED]);
    await pass(45);
    const refresh = await peer.next('INVITE');
    respond(peer, refresh, '100 Trying');
    await settled();
    const over = hangUp(dialog);
    const cancel = await peer.next('CANCEL');
    respond(peer, cancel, '200 OK');
    respond(peer, refresh, '487 Request Terminated');
    await peer.next('ACK');
    respond(peer, await peer.next('BYE'), '200 OK');
    await over;
  });

  describe('when we call', () => {
    test('the INVITE says that we have them, and what we allow, but asks for none', async () => {
      const { dialog, invite } = await callPeer({}, []);
      expect(invite.header('Supported')).toBe('timer');
      expect(invite.header('Allow')).toContain('UPDATE');
      expect(invite.headers('Session-Expires')).toEqual([]);
      await pass(10_000);
      await end(dialog);
    });

    test.each([
      ['we are named', ['Session-Expires: 90;refresher=uac', 'Require: timer']],
      ['nobody is named', ['Session-Expires: 90']],
      ['the peer says nothing of what the client asked for', []],
    ])('%s: we refresh, and the call lives past three refreshes', async (_, headers) => {
      const { dialog, invite } = await callPeer({ 'Session-Expires': '90' }, [...headers, ALLOW_UPDATE]);
      expect(invite.header('Session-Expires')).toBe('90');
      for (let refresh = 0; refresh < 3; refresh++) {
        await pass(45);
        respond(peer, await peer.next('UPDATE'), '200 OK', { headers });
      }
      await pass(44);
      await end(dialog);
    });

    test('the peer is named: it refreshes, and without that the call ends', async () => {
      const { dialog, invite } = await callPeer({ 'Session-Expires': '90' }, [
        'Session-Expires: 90;refresher=uas',
        'Require: timer',
      ]);
      const callee = new PeerCall(peer, rig.port('udp'));
      for (let refresh = 1; refresh <= 3; refresh++) {
        await pass(45);
        const update = callee.request('UPDATE', {
          fromTag: 'callee',
          toTag: invite.tag('From'),
          sequence: refresh,
          headers: ['Session-Expires: 90;refresher=uac', SUPPORTED],
        });
        peer.send(update.replace(callee.callId, invite.header('Call-ID')));
        expect((await peer.next('200 UPDATE')).header('Session-Expires')).toBe('90;refresher=uac');
      }
      await settled();
      clock.advance(60_000);
      await expectExpiry(dialog);
    });

    test('glare: the owner of the Call-ID waits between 2.1 and 4 seconds', async () => {
      const { dialog } = await callPeer({ 'Session-Expires': '90' }, [ALLOW_UPDATE]);
      await pass(45);
      respond(peer, await peer.next('UPDATE'), '491 Request Pending');
      await pass(2.09);
      expect(peer.count('UPDATE')).toBe(1);
      await pass(1.91);
      respond(peer, await peer.next('UPDATE'), '200 OK');
      await end(dialog);
    });

    test('an interval of our own wish', async () => {
      await rig.close();
      await begin({ session: { minimumS: 120, wantedS: 300 } });
      const { dialog, invite } = await callPeer({}, ['Session-Expires: 300;refresher=uas', 'Require: timer']);
      expect(invite.header('Session-Expires')).toBe('300');
      expect(invite.header('Min-SE')).toBe('120');
      await pass(267);
      clock.advance(1_000);
      await expectExpiry(dialog);
    });
  });
});
