import { once } from 'node:events';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { AgentRig } from '../support/agent-rig.js';
import { FakeClock } from '../support/fake-clock.js';
import { ANSWER, OFFER, PeerCall, respond, type RequestParts } from '../support/sip-call.js';
import type { SipPeer, SipText } from '../support/sip-peer.js';
import { answer, hangUp, type SrfRequest, type SrfResponse, type TestDialog } from '../support/srf-client.js';

/** A response as drachtio-srf really has it: told when it has gone out, and when its PRACK has come. */
interface RespondingSrf {
  send(status: number, options: object, sent: (error: unknown) => void, onPrack?: (prack: SrfRequest) => void): void;
}

const RELIABLE = { headers: { Require: '100rel' } };

/** What happens in a dialog before it is confirmed, over real sockets with drachtio-srf behind, on the tests' clock. */
describe('before the answer', () => {
  let clock: FakeClock;
  let rig: AgentRig;
  let peer: SipPeer;
  let call: PeerCall;

  beforeEach(async () => {
    clock = new FakeClock();
    rig = await (await AgentRig.start({ clock })).withClient();
    peer = await rig.peer('udp');
    call = new PeerCall(peer, rig.port('udp'));
  });

  afterEach(async () => {
    expect(rig.logger.events('sip.fault')).toEqual([]);
    await rig.close();
    expect(rig.agent.stats()).toMatchObject({ dialogs: 0, serverTransactions: 0, clientTransactions: 0, clients: 0 });
    expect(clock.pendingTimers).toBe(0);
  });

  /** Resolves when the agent has dealt with all that the peer has sent so far. */
  async function settled(): Promise<void> {
    new PeerCall(peer, rig.port('udp')).send('OPTIONS');
    await peer.next('200 OPTIONS');
  }

  async function offered(headers: readonly string[], parts: RequestParts = {}) {
    call.invite({ headers, ...parts });
    return rig.nextInvite();
  }

  /** Sends a response; rejects with what the agent says when it was not sent. */
  function send(
    response: SrfResponse,
    status: number,
    options: object = {},
    onPrack?: (prack: SrfRequest) => void,
  ): Promise<void> {
    return new Promise((resolve, reject) => {
      (response as RespondingSrf).send(
        status,
        options,
        (error) => {
          // drachtio-srf reports the agent's words as a string.
          if (typeof error === 'string') reject(new Error(error));
          else resolve();
        },
        onPrack,
      );
    });
  }

  /** The peer acknowledges a reliable response. */
  function prack(provisional: SipText, parts: RequestParts = {}): void {
    call.remoteTag = provisional.tag('To');
    const rack = `${provisional.header('RSeq')} ${provisional.header('CSeq')}`;
    call.next('PRACK', { headers: [`RAck: ${rack}`], ...parts });
  }

  async function end(dialog: TestDialog): Promise<void> {
    const over = hangUp(dialog);
    respond(peer, await peer.next('BYE'), '200 OK');
    await over;
  }

  async function acknowledged(dialog: TestDialog, ok: SipText): Promise<void> {
    const confirmed = once(dialog, 'ack');
    call.ack(ok, { sequence: 1 });
    await confirmed;
  }

  describe('reliable provisional responses to the peer', () => {
    test('183, PRACK, 200 to it by the client, then 200 to the INVITE', async () => {
      const { request, response } = await offered(['Supported: 100rel']);
      let pracked: SrfRequest | undefined;
      await send(response, 183, { ...RELIABLE, body: ANSWER }, (prackRequest) => {
        pracked = prackRequest;
      });
      const progress = await peer.next(183);
      expect(progress.header('Require')).toBe('100rel');
      expect(progress.header('RSeq')).toMatch(/^[1-9]\d*$/);
      expect(progress.header('Contact')).not.toBe('');
      clock.advance(500);
      expect((await peer.next(183)).raw).toBe(progress.raw);
      prack(progress);
      await peer.next('200 PRACK');
      expect(pracked?.get('RAck')).toBe(`${progress.header('RSeq')} 1 INVITE`);
      await settled();
      clock.advance(10_000);
      await settled();
      expect(peer.count(183)).toBe(2);
      const dialog = await answer(rig.srf, request, response, ANSWER);
      const ok = await peer.next('200 INVITE');
      expect(ok.headers('Require')).toEqual([]);
      expect(ok.header('Supported')).toBe('100rel, timer, replaces');
      await acknowledged(dialog, ok);
      await end(dialog);
    });

    test('an INVITE that requires them gets all of them so', async () => {
      const { response } = await offered(['Require: 100rel']);
      await send(response, 180);
      await send(response, 183, { body: ANSWER });
      const ringing = await peer.next(180);
      expect(ringing.header('Require')).toBe('100rel');
      await settled();
      expect(peer.count(183)).toBe(0);
      prack(ringing);
      await peer.next('200 PRACK');
      const progress = await peer.next(183);
      expect(Number(progress.header('RSeq'))).toBe(Number(ringing.header('RSeq')) + 1);
      prack(progress);
      await peer.next('200 PRACK');
      await send(response, 486);
      call.ack(await peer.next('486 INVITE'), { sequence: 1 });
      await settled();
    });

    test('not to a peer that does not understand them', async () => {
      const { response } = await offered([]);
      await expect(send(response, 183, RELIABLE)).rejects.toThrow('Remote endpoint does not support 100rel');
      expect(peer.count(183)).toBe(0);
    });

    test('the 200 waits for the PRACK of the answer before it', async () => {
      const { request, response } = await offered(['Supported: 100rel']);
      await send(response, 183, { ...RELIABLE, body: ANSWER });
      const dialog = await answer(rig.srf, request, response, ANSWER);
      const progress = await peer.next(183);
      await settled();
      expect(peer.count('200 INVITE')).toBe(0);
      prack(progress);
      await peer.next('200 PRACK');
      await acknowledged(dialog, await peer.next('200 INVITE'));
      await end(dialog);
    });

    test('CANCEL while the 200 waits: 487, and the client, which has answered, hears a BYE', async () => {
      const { request, response } = await offered(['Supported: 100rel']);
      await send(response, 183, { ...RELIABLE, body: ANSWER });
      const dialog = await answer(rig.srf, request, response, ANSWER);
      const destroyed = once(dialog, 'destroy');
      call.cancel();
      await peer.next('200 CANCEL');
      const terminated = await peer.next('487 INVITE');
      const [, reason] = (await destroyed) as [unknown, string];
      expect(reason).toBe('CANCEL after 200 OK');
      call.ack(terminated, { sequence: 1 });
      await settled();
      expect(rig.agent.stats().dialogs).toBe(0);
      expect(peer.count('200 INVITE')).toBe(0);
    });

    test('no PRACK at all: 504, and the client hears a CANCEL', async () => {
      const { request, response } = await offered(['Supported: 100rel']);
      const cancelled = once(request, 'cancel');
      await send(response, 183, { ...RELIABLE, body: ANSWER });
      await peer.next(183);
      clock.advance(32_000);
      const refused = await peer.next('504 INVITE');
      await cancelled;
      expect(rig.logger.events('sip.prack_timeout')).toHaveLength(1);
      call.ack(refused, { sequence: 1 });
      await settled();
      expect(peer.count(183)).toBe(7);
      expect(rig.agent.stats().dialogs).toBe(0);
    });

    test.each([
      ['another number', (rseq: number) => `RAck: ${rseq + 1} 1 INVITE`],
      ['another request', (rseq: number) => `RAck: ${rseq} 2 INVITE`],
      ['nonsense', () => 'RAck: 1'],
      ['nothing', () => 'X-RAck: none'],
    ])('a PRACK for %s: 481, and nothing stops', async (_, rack) => {
      const { response } = await offered(['Supported: 100rel']);
      await send(response, 183, RELIABLE);
      const progress = await peer.next(183);
      prack(progress, { headers: [rack(Number(progress.header('RSeq')))] });
      await peer.next('481 PRACK');
      clock.advance(500);
      await peer.next(183);
    });
  });

  describe('reliable provisional responses of the peer', () => {
    async function callPeer(): Promise<{ calling: Promise<TestDialog>; invite: SipText; provisionals: SrfResponse[] }> {
      const provisionals: SrfResponse[] = [];
      const calling = rig.srf.createUAC(
        `sip:peer@127.0.0.1:${peer.port}`,
        { localSdp: OFFER, headers: { Supported: '100rel' } },
        { cbProvisional: (response) => provisionals.push(response) },
      ) as Promise<TestDialog>;
      return { calling, invite: await peer.next('INVITE'), provisionals };
    }

    function progress(invite: SipText, rseq: number, tag = 'callee'): void {
      respond(peer, invite, '183 Session Progress', {
        tag,
        headers: ['Require: 100rel', `RSeq: ${rseq}`],
        body: ANSWER,
      });
    }

    test('reach the client in order, once; its PRACK goes out in the early dialog', async () => {
      const { calling, invite, provisionals } = await callPeer();
      expect(invite.header('Supported')).toBe('100rel, timer');
      progress(invite, 7);
      const first = await peer.next('PRACK');
      expect(first.header('RAck')).toBe(`7 ${invite.header('CSeq')}`);
      expect(first.tag('To')).toBe('callee');
      expect(first.uri).toBe(`sip:peer@127.0.0.1:${peer.port}`);
      progress(invite, 7);
      progress(invite, 9);
      respond(peer, first, '200 OK');
      progress(invite, 8);
      const second = await peer.next('PRACK');
      expect(second.header('RAck')).toBe(`8 ${invite.header('CSeq')}`);
      expect(Number.parseInt(second.header('CSeq'), 10)).toBe(Number.parseInt(first.header('CSeq'), 10) + 1);
      respond(peer, second, '200 OK');
      await settled();
      expect(provisionals).toHaveLength(2);
      expect(peer.count('PRACK')).toBe(2);
      respond(peer, invite, '200 OK', { tag: 'callee' });
      const dialog = await calling;
      await peer.next('ACK');
      await end(dialog);
    });

    test('are acknowledged to the fork they came from', async () => {
      const { calling, invite } = await callPeer();
      progress(invite, 7, 'first');
      const first = await peer.next('PRACK');
      expect(first.tag('To')).toBe('first');
      respond(peer, first, '200 OK');
      progress(invite, 3, 'second');
      const second = await peer.next('PRACK');
      expect(second.tag('To')).toBe('second');
      respond(peer, second, '200 OK');
      respond(peer, invite, '200 OK', { tag: 'second', body: ANSWER });
      const dialog = await calling;
      await peer.next('ACK');
      await end(dialog);
    });

    test('an UPDATE of the peer with an offer: 491 until ours is answered reliably, then the client answers', async () => {
      const { calling, invite } = await callPeer();
      respond(peer, invite, '180 Ringing', { tag: 'callee' });
      const callee = new PeerCall(peer, rig.port('udp'));
      const update = (sequence: number): void => {
        const parts = { fromTag: 'callee', toTag: invite.tag('From'), sequence, body: ANSWER };
        peer.send(callee.request('UPDATE', parts).replace(callee.callId, invite.header('Call-ID')));
      };
      update(1);
      await peer.next('491 UPDATE');
      progress(invite, 1);
      respond(peer, await peer.next('PRACK'), '200 OK');
      update(2);
      const updated = await peer.next('200 UPDATE');
      expect(updated.body).toBe(OFFER);
      respond(peer, invite, '200 OK', { tag: 'callee' });
      const dialog = await calling;
      await peer.next('ACK');
      await end(dialog);
    });
  });

  describe('UPDATE of the caller', () => {
    test('with an offer before its first one is answered: 500 and a time to come back', async () => {
      const { response } = await offered([]);
      await send(response, 180);
      call.remoteTag = (await peer.next(180)).tag('To');
      call.next('UPDATE', { body: OFFER });
      const refused = await peer.next('500 UPDATE');
      const retryAfterS = Number(refused.header('Retry-After'));
      expect(retryAfterS).toBeGreaterThanOrEqual(0);
      expect(retryAfterS).toBeLessThanOrEqual(10);
    });

    test('after the answer in a reliable 183 the client is asked', async () => {
      const { request, response } = await offered(['Supported: 100rel']);
      request.on('update', (_update: SrfRequest, updateResponse: SrfResponse) =>
        updateResponse.send(200, { body: ANSWER }),
      );
      await send(response, 183, { ...RELIABLE, body: ANSWER });
      prack(await peer.next(183));
      await peer.next('200 PRACK');
      call.next('UPDATE', { body: OFFER, headers: ['Session-Expires: 90', 'Supported: timer'] });
      const updated = await peer.next('200 UPDATE');
      expect(updated.body).toBe(ANSWER);
      expect(updated.headers('Session-Expires')).toEqual([]);
    });

    test('without an offer the client is asked at once', async () => {
      const { request, response } = await offered([]);
      request.on('update', (_update: SrfRequest, updateResponse: SrfResponse) => updateResponse.send(200));
      await send(response, 180);
      call.remoteTag = (await peer.next(180)).tag('To');
      call.next('UPDATE');
      await peer.next('200 UPDATE');
    });
  });

  describe('requests of the client in the early dialog', () => {
    function request(
      stackDialogId: string,
      method: string,
      parts: { headers?: Record<string, string>; body?: string } = {},
    ) {
      return rig.srf.request('sip:placeholder', { method, stackDialogId, ...parts });
    }

    async function answered(sent: SrfRequest): Promise<number> {
      const [response] = (await once(sent, 'response')) as [SrfResponse & { readonly status: number }];
      return response.status;
    }

    test('UPDATE to the caller; while its offer is unanswered the caller may make none', async () => {
      const { response } = await offered(['Supported: 100rel']);
      await send(response, 183, { ...RELIABLE, body: ANSWER });
      prack(await peer.next(183));
      await peer.next('200 PRACK');
      const sent = await request(`${call.callId};from-tag=${call.localTag}`, 'UPDATE', { body: ANSWER });
      const update = await peer.next('UPDATE');
      expect(update.tag('To')).toBe(call.localTag);
      expect(update.header('Contact')).not.toBe('');
      call.next('UPDATE', { body: OFFER });
      await peer.next('491 UPDATE');
      const status = answered(sent);
      respond(peer, update, '491 Request Pending');
      expect(await status).toBe(491);
    });

    test('UPDATE to the called party, as soon as there is one', async () => {
      const calling = rig.srf.createUAC(`sip:peer@127.0.0.1:${peer.port}`, { localSdp: OFFER }, {});
      const invite = await peer.next('INVITE');
      const id = `${invite.header('Call-ID')};from-tag=${invite.tag('From')}`;
      await expect(request(id, 'UPDATE')).rejects.toThrow('unable to find dialog');
      respond(peer, invite, '180 Ringing', { tag: 'callee' });
      await settled();
      const sent = await request(id, 'UPDATE');
      const update = await peer.next('UPDATE');
      expect(update.tag('To')).toBe('callee');
      expect(update.headers('Session-Expires')).toEqual([]);
      const status = answered(sent);
      respond(peer, update, '200 OK');
      expect(await status).toBe(200);
      await expect(request(id, 'PRACK', { headers: { RAck: '1 1 INVITE' } })).rejects.toThrow(
        'no reliable provisional',
      );
      await expect(request(id, 'BYE')).rejects.toThrow('unable to find dialog');
      respond(peer, invite, '486 Busy Here', { tag: 'callee' });
      await expect(calling).rejects.toMatchObject({ status: 486 });
      await peer.next('ACK');
    });

    test('PRACK without a word on what it acknowledges is not sent', async () => {
      const calling = rig.srf.createUAC(`sip:peer@127.0.0.1:${peer.port}`, { localSdp: OFFER }, {});
      const invite = await peer.next('INVITE');
      respond(peer, invite, '183 Session Progress', { tag: 'callee', headers: ['Require: 100rel', 'RSeq: 1'] });
      respond(peer, await peer.next('PRACK'), '200 OK');
      const id = `${invite.header('Call-ID')};from-tag=${invite.tag('From')}`;
      await expect(request(id, 'PRACK')).rejects.toThrow('missing or malformed RAck');
      respond(peer, invite, '486 Busy Here', { tag: 'callee' });
      await expect(calling).rejects.toMatchObject({ status: 486 });
      await peer.next('ACK');
    });
  });
});
