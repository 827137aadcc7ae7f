import { createHash } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { DigestClient } from '../../src/signaling/auth/digest-client.js';
import { DrachtioSipEndpoint } from '../../src/signaling/drachtio/drachtio.js';
import {
  RenegotiationRefused,
  type CallDialog,
  type DialogHandlers,
  type InfoDigit,
  type IncomingInvite,
  type ReferOutcome,
  type RenegotiationRequest,
} from '../../src/signaling/sip-endpoint.js';
import { AgentRig } from '../support/agent-rig.js';
import { FakeClock } from '../support/fake-clock.js';
import { RecordingLogger } from '../support/recording-logger.js';
import { ANSWER, OFFER, PeerCall, respond } from '../support/sip-call.js';
import type { SipText, UdpPeer } from '../support/sip-peer.js';

const SECRET = 'of the test';

/** After which the SIP agent gives up what has not been answered, and forgets what has been. */
const TIMER_B_MS = 32_000;

/** What our dialog hears. */
class Heard implements DialogHandlers {
  readonly ends: { byPeer: boolean; reason: string }[] = [];
  readonly acks: (string | undefined)[] = [];
  readonly requests: RenegotiationRequest[] = [];
  readonly digits: InfoDigit[] = [];
  respond: (request: RenegotiationRequest) => Promise<string | undefined> = () => Promise.resolve(ANSWER);

  onEnd(end: { byPeer: boolean; reason: string }): void {
    this.ends.push(end);
  }

  onAck(sdp: string | undefined): void {
    this.acks.push(sdp);
  }

  onDigit(digit: InfoDigit): void {
    this.digits.push(digit);
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
  let agentClock: FakeClock;
  let dialog: CallDialog;
  /** Our BYE has been answered. */
  let hungUp: boolean;
  const invites: IncomingInvite[] = [];

  beforeEach(async () => {
    agentClock = new FakeClock();
    rig = await AgentRig.start({ secret: SECRET, clock: agentClock });
    clock = new FakeClock();
    heard = new Heard();
    hungUp = false;
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
    if (heard.ends.length === 0 && !hungUp) respond(peer, await peer.next('BYE'), '200 OK');
    await over;
    endpoint.close();
    await vi.waitFor(() => expect(rig.agent.stats()).toMatchObject({ dialogs: 0, clients: 0 }));
    agentClock.advance(TIMER_B_MS);
    expect(rig.agent.stats()).toMatchObject({ dialogs: 0, serverTransactions: 0, clientTransactions: 0 });
    expect(clock.pendingTimers).toBe(0);
    await rig.close();
    expect(rig.logger.events('sip.fault')).toEqual([]);
  });

  async function established(digest?: DigestClient): Promise<CallDialog> {
    const answered = call.establish();
    await vi.waitFor(() => expect(invites).toHaveLength(1));
    const invite = invites.pop();
    if (invite) invite.digest = digest;
    const made = invite?.answer(ANSWER, heard);
    await answered;
    if (!made) throw new Error('no INVITE');
    await vi.waitFor(() => expect(heard.acks).toEqual([undefined]));
    return made;
  }

  describe('in a call over a registration, a challenge', () => {
    const CHALLENGE = 'Digest realm="pbx", nonce="n1", qop="auth"';
    const md5 = (text: string): string => createHash('md5').update(text).digest('hex');

    /** Credentials that a registrar has asked for. */
    async function shownBefore(challenge: string): Promise<DigestClient | undefined> {
      const digest = new DigestClient({ user: '1001', password: 'secret' });
      let asked = false;
      await digest.request({ method: 'REGISTER', uri: 'sip:pbx' }, () => {
        const status = asked ? 200 : 401;
        asked = true;
        return Promise.resolve({ status, get: () => challenge });
      });
      return digest.forDialog();
    }

    beforeEach(async () => {
      call.next('BYE');
      await peer.next('200 BYE');
      heard = new Heard();
      call = new PeerCall(peer, rig.port('udp'));
      dialog = await established(await shownBefore('Digest realm="pbx", nonce="n0", qop="auth"'));
    });

    function expectAnswered(request: SipText, header: string, nonce = 'n1'): void {
      const answer = request.header(header);
      const part = (name: string): string => new RegExp(`[ ,]${name}="?([^",]*)`).exec(answer)?.[1] ?? '';
      const ha1 = md5('1001:pbx:secret');
      const ha2 = md5(`${request.method}:${request.uri}`);
      expect(part('uri')).toBe(request.uri);
      expect(part('nonce')).toBe(nonce);
      expect(part('response')).toBe(md5([ha1, nonce, part('nc'), part('cnonce'), 'auth', ha2].join(':')));
    }

    it.each([
      ['401 Unauthorized', 'WWW-Authenticate', 'Authorization'],
      ['407 Proxy Authentication Required', 'Proxy-Authenticate', 'Proxy-Authorization'],
    ])('of %s to a BYE is answered', async (status, header, credentials) => {
      const over = dialog.bye({ cause: 16, text: 'done' });
      const bye = await peer.next('BYE');
      expect(bye.header(credentials)).toBe('');
      respond(peer, bye, status, { headers: [`${header}: ${CHALLENGE}`] });
      const again = await peer.next('BYE');
      expectAnswered(again, credentials);
      expect(again.header('Reason')).toBe(bye.header('Reason'));
      respond(peer, again, '200 OK');
      await over;
      hungUp = true;
    });

    it('to a re-INVITE is answered, and what follows brings the answer along', async () => {
      const answered = dialog.reinvite(OFFER);
      const invite = await peer.next('INVITE');
      respond(peer, invite, '401 Unauthorized', { headers: [`WWW-Authenticate: ${CHALLENGE}`] });
      await peer.next('ACK');
      const again = await peer.next('INVITE');
      expectAnswered(again, 'Authorization');
      expect(again.body).toBe(OFFER);
      respond(peer, again, '200 OK', { body: ANSWER });
      expect(await answered).toBe(ANSWER);
      await peer.next('ACK');
      const referred = dialog.refer('sip:desk@pbx', { timeoutMs: 1_000, onProgress: () => undefined });
      const refer = await peer.next('REFER');
      expectAnswered(refer, 'Authorization');
      expect(refer.header('Authorization')).toContain('nc=00000002');
      respond(peer, refer, '202 Accepted', { headers: ['Refer-Sub: false'] });
      expect(await referred).toMatchObject({ transferred: true });
    });

    it.each([
      ["of a realm that is not the registrar's", ['Digest realm="elsewhere", nonce="n1"']],
      ['that the answer to is refused', [CHALLENGE, 'Digest realm="pbx", nonce="n2", qop="auth"']],
      ['that is none', ['Basic realm="pbx"']],
      ['weaker than what REGISTER was asked for', ['Digest realm="pbx", nonce="chosen"']],
    ])('%s is what becomes of the request', async (_, challenges) => {
      const referred = dialog.refer('sip:desk@pbx', { timeoutMs: 1_000, onProgress: () => undefined });
      for (const challenge of challenges) {
        respond(peer, await peer.next('REFER'), '401 Unauthorized', { headers: [`WWW-Authenticate: ${challenge}`] });
      }
      expect(await referred).toEqual({ transferred: false, detail: 'the REFER was answered with 401 Unauthorized' });
    });
  });

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
      await vi.waitFor(() => expect(heard.ends).toEqual([{ byPeer: true, reason: 'normal release' }]));
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
      await vi.waitFor(() => expect(heard.requests).toHaveLength(1));
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
      await vi.waitFor(() => expect(heard.requests).toEqual([{ offer: OFFER, method: 'INVITE' }]));
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
      await vi.waitFor(() => expect(heard.requests).toHaveLength(1));
      call.next('BYE');
      await peer.next('200 BYE');
      await vi.waitFor(() => expect(heard.ends).toHaveLength(1));
      decide(ANSWER);
      await vi.waitFor(() => {
        // The refusal is repeated until it is acknowledged.
        expect(peer.count('487 INVITE') + peer.count('200 INVITE')).toBeGreaterThanOrEqual(2);
      });
      if (peer.count('487 INVITE') > 0) call.ack(await peer.next('487 INVITE'));
    });
  });

  describe('REFER', () => {
    const FROM_REFER = ['Event: refer', 'Content-Type: message/sipfrag'];
    const DESK = 'sip:desk@pbx.example;user=phone?Priority=urgent';
    let progress: number[];

    /** Sends one; resolves when the caller has it. */
    async function refer(): Promise<{ outcome: Promise<ReferOutcome>; request: SipText }> {
      progress = [];
      const outcome = dialog.refer(DESK, { timeoutMs: 15_000, onProgress: (status) => progress.push(status) });
      return { outcome, request: await peer.next('REFER') };
    }

    /** A NOTIFY of the subscription a REFER has made; resolves to the status it is answered with. */
    async function notify(body: string, headers: readonly string[] = ['Event: refer']): Promise<number> {
      call.next('NOTIFY', {
        headers: [...headers, 'Subscription-State: active;expires=60', 'Content-Type: message/sipfrag;version=2.0'],
        body,
      });
      const sequence = `${call.sequence} NOTIFY`;
      return vi.waitFor(() => {
        const response = peer.received.find((one) => one.status > 0 && one.header('CSeq') === sequence);
        if (!response) throw new Error('the NOTIFY is not answered');
        return response.status;
      });
    }

    /** The call goes on: a re-INVITE is taken. */
    async function expectAlive(): Promise<void> {
      const answered = dialog.reinvite(OFFER);
      respond(peer, await peer.next('INVITE'), '200 OK', { body: ANSWER });
      expect(await answered).toBe(ANSWER);
      await peer.next('ACK');
    }

    it('says where to and who says so', async () => {
      const { outcome, request } = await refer();
      expect(request.header('Refer-To')).toBe(`<${DESK}>`);
      expect(request.header('Referred-By')).toBe('<sip:1000@127.0.0.1>');
      expect(request.header('Contact')).toContain(`127.0.0.1:${rig.port('udp')}`);
      expect([request.tag('From'), request.tag('To')]).toEqual([call.remoteTag, call.localTag]);
      respond(peer, request, '603 Decline');
      await outcome;
    });

    it('is done when a NOTIFY tells of a 2xx', async () => {
      const { outcome, request } = await refer();
      respond(peer, request, '202 Accepted');
      for (const told of ['100 Trying', '180 Ringing', '180 Ringing', '200 OK']) {
        expect(await notify(`SIP/2.0 ${told}\r\n`)).toBe(200);
      }
      expect(await outcome).toEqual({ transferred: true, detail: 'the transfer was answered with 200 OK' });
      expect(progress).toEqual([202, 100, 180, 200]);
      // The dialog is left to whoever asked.
      expect(heard.ends).toEqual([]);
      expect(peer.count('BYE')).toBe(0);
      expect(await notify('SIP/2.0 200 OK', ['Event: refer'])).toBe(200);
    });

    it('that the target refuses has failed, and the call goes on', async () => {
      const { outcome, request } = await refer();
      respond(peer, request, '202 Accepted');
      await notify('SIP/2.0 100 Trying');
      await notify('SIP/2.0 486 Busy Here');
      expect(await outcome).toEqual({ transferred: false, detail: 'the transfer was answered with 486 Busy Here' });
      await expectAlive();
    });

    it.each(['403 Forbidden', '405 Method Not Allowed', '481 Gone', '501 Not Implemented', '603 Decline', '302 Moved'])(
      'that the caller refuses has failed, and the call goes on: %s',
      async (refusal) => {
        const { outcome, request } = await refer();
        respond(peer, request, refusal);
        expect(await outcome).toEqual({ transferred: false, detail: `the REFER was answered with ${refusal}` });
        expect(progress).toEqual([]);
        await expectAlive();
      },
    );

    it('that the caller does not answer at all has failed', async () => {
      const { outcome } = await refer();
      agentClock.advance(TIMER_B_MS);
      expect(await outcome).toEqual({ transferred: false, detail: 'the REFER was answered with 408 Request Timeout' });
      await expectAlive();
    });

    it('of which nothing more is heard has failed in time', async () => {
      const { outcome, request } = await refer();
      respond(peer, request, '202 Accepted');
      await notify('SIP/2.0 180 Ringing');
      clock.advance(14_999);
      expect(clock.pendingTimers).toBe(1);
      clock.advance(1);
      expect(await outcome).toEqual({ transferred: false, detail: 'the transfer was not completed within 15000 ms' });
      // Too late, but no harm.
      expect(await notify('SIP/2.0 200 OK')).toBe(200);
      await expectAlive();
    });

    it.each(['false', ' False '])(
      'is done when it is accepted without a subscription (Refer-Sub: %s)',
      async (value) => {
        const { outcome, request } = await refer();
        respond(peer, request, '200 OK', { headers: [`Refer-Sub: ${value}`] });
        expect(await outcome).toEqual({ transferred: true, detail: 'the REFER was answered with 200 OK' });
      },
    );

    it('is over when the caller hangs up', async () => {
      const { outcome, request } = await refer();
      respond(peer, request, '202 Accepted');
      await notify('SIP/2.0 100 Trying');
      call.next('BYE');
      await peer.next('200 BYE');
      expect(await outcome).toEqual({ transferred: false, detail: 'the dialog is over' });
      expect(heard.ends).toEqual([{ byPeer: true, reason: 'normal release' }]);
      expect(await notify('SIP/2.0 200 OK')).toBe(481);
    });

    it('is over when we hang up', async () => {
      const { outcome } = await refer();
      const over = dialog.bye();
      expect(await outcome).toEqual({ transferred: false, detail: 'the dialog is over' });
      expect(await notify('SIP/2.0 200 OK')).toBe(481);
      respond(peer, await peer.next('BYE'), '200 OK');
      await over;
      expect(await notify('SIP/2.0 200 OK')).toBe(481);
      heard.ends.push({ byPeer: false, reason: 'we did' }); // nothing is left to be answered
    });

    it('is not sent twice at a time, nor into a dialog that is over', async () => {
      const { outcome, request } = await refer();
      expect(await dialog.refer(DESK, { timeoutMs: 15_000, onProgress: () => undefined })).toEqual({
        transferred: false,
        detail: 'another transfer is under way',
      });
      respond(peer, request, '603 Decline');
      await outcome;
      call.next('BYE');
      await peer.next('200 BYE');
      await vi.waitFor(() => expect(heard.ends).toHaveLength(1));
      expect(await dialog.refer(DESK, { timeoutMs: 15_000, onProgress: () => undefined })).toEqual({
        transferred: false,
        detail: 'the dialog is over',
      });
      // It may have been repeated before it was answered.
      const sequences = peer.received.filter(({ method, status }) => method === 'REFER' && status === 0);
      expect(new Set(sequences.map((each) => each.header('CSeq'))).size).toBe(1);
    });

    it('is told apart from the one before it by the id of its NOTIFYs', async () => {
      const first = await refer();
      respond(peer, first.request, '202 Accepted');
      await notify('SIP/2.0 486 Busy Here');
      await first.outcome;
      const second = await refer();
      respond(peer, second.request, '202 Accepted');
      const [firstId = '', secondId = ''] = [first, second].map(({ request }) => request.header('CSeq').split(' ')[0]);
      await notify('SIP/2.0 200 OK', [`Event: refer;id=${firstId}`]);
      await notify('SIP/2.0 183 Session Progress', [`Event: refer ; id=${secondId}`]);
      expect(progress).toEqual([202, 183]);
      await notify('SIP/2.0 603 Decline', [`Event: refer;id=${secondId}`]);
      expect(await second.outcome).toMatchObject({ transferred: false });
    });

    it('stands a flood of NOTIFYs and any rubbish in them', async () => {
      // As many as a dialog may send at once, with what follows.
      const FLOOD = 80;
      const { outcome, request } = await refer();
      respond(peer, request, '202 Accepted');
      for (let n = 1; n <= FLOOD; n++) {
        // A socket's buffer holds no more than a part of them.
        if (n % 20 === 0) await notify('SIP/2.0 180 Ringing');
        else call.next('NOTIFY', { headers: FROM_REFER, body: 'SIP/2.0 180 Ringing' });
      }
      const rubbish = ['', '\0\0\0', 'SIP/2.0 2OO OK', `SIP/2.0 ${'2'.repeat(9_000)}`, '\r\n'.repeat(4_000), '<xml/>'];
      for (const body of rubbish) expect(await notify(body)).toBe(200);
      expect(await notify('SIP/2.0 200 OK', ['Event: presence'])).toBe(489);
      expect(await notify('SIP/2.0 200 OK', ['Event: referral'])).toBe(489);
      expect(progress).toEqual([202, 180]);
      expect(await notify('SIP/2.0 200 OK', ['o: refer'])).toBe(200);
      expect(await outcome).toMatchObject({ transferred: true });
      await vi.waitFor(() => expect(peer.count('200 NOTIFY')).toBe(FLOOD + rubbish.length + 1));
    });

    it('that was never sent is not notified of', async () => {
      expect(await notify('SIP/2.0 200 OK')).toBe(481);
      await expectAlive();
    });
  });

  describe('INFO', () => {
    /** Sends one; resolves to its answer. */
    function info(type: string, body: string): Promise<SipText> {
      call.next('INFO', { headers: type === '' ? [] : [`Content-Type: ${type}`], body });
      const sequence = `${call.sequence} INFO`;
      return vi.waitFor(() => {
        const response = peer.received.find((one) => one.status > 0 && one.header('CSeq') === sequence);
        if (!response) throw new Error('the INFO is not answered');
        return response;
      });
    }

    it('brings digits', async () => {
      expect((await info('application/dtmf-relay', 'Signal=5\r\nDuration=240\r\n')).status).toBe(200);
      expect((await info('application/dtmf', '#')).status).toBe(200);
      expect(heard.digits).toEqual([
        { digit: '5', durationMs: 240 },
        { digit: '#', durationMs: 160 },
      ]);
    });

    it('is taken without meaning anything, or refused with what we do take', async () => {
      expect((await info('', '')).status).toBe(200);
      expect((await info('application/dtmf-relay', 'Signal=flash?')).status).toBe(400);
      const refused = await info('application/media_control+xml', '<media_control/>');
      expect(refused.status).toBe(415);
      expect(refused.header('Accept')).toBe('application/dtmf-relay, application/dtmf');
      expect(heard.digits).toEqual([]);
    });

    it('comes too late when the call is over', async () => {
      call.next('BYE');
      await peer.next('200 BYE');
      expect((await info('application/dtmf', '5')).status).toBe(481);
      await vi.waitFor(() => expect(heard.ends).toHaveLength(1));
      expect(heard.digits).toEqual([]);
    });
  });
});
