import { once } from 'node:events';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { AgentRig, type Protocol } from '../support/agent-rig.js';
import { ANSWER, branch, OFFER, PeerCall, respond } from '../support/sip-call.js';
import type { SipPeer, SipText } from '../support/sip-peer.js';
import { SECURE } from '../support/certificates.js';
import { answer, hangUp, type SrfRequest, type SrfResponse, type TestDialog } from '../support/srf-client.js';

/** A hundred times as fast as on a network: what takes 32 s there takes 0.32 s here. */
const FAST = { t1Ms: 5, t2Ms: 40, t4Ms: 50 };

/** Resolves when no dialog and no transaction is left. */
async function nothingLeft(rig: AgentRig): Promise<void> {
  await vi.waitFor(
    () => expect(rig.agent.stats()).toMatchObject({ dialogs: 0, serverTransactions: 0, clientTransactions: 0 }),
    { interval: 10 },
  );
}

describe.each<Protocol>(['udp', 'tcp', 'tls'])('drachtio-srf over %s', (protocol) => {
  /** For the URI of a peer. */
  const transport = protocol === 'udp' ? '' : `;transport=${protocol}`;
  let rig: AgentRig;
  let peer: SipPeer;
  let call: PeerCall;

  async function begin(timers?: typeof FAST): Promise<void> {
    rig = await (await AgentRig.start({ timers, ...(protocol === 'tls' ? SECURE : {}) })).withClient();
    peer = await rig.peer(protocol);
    call = new PeerCall(peer, rig.port(protocol));
  }

  async function establish(): Promise<TestDialog> {
    const answered = call.establish();
    const { request, response } = await rig.nextInvite();
    const acknowledged = answer(rig.srf, request, response, ANSWER).then(async (dialog) => {
      await once(dialog, 'ack');
      return dialog;
    });
    await answered;
    return acknowledged;
  }

  /** The application calls the peer. */
  async function callPeer(): Promise<{ dialog: TestDialog; invite: SipText }> {
    const calling = rig.srf.createUAC(targetUri(), { localSdp: OFFER, callingNumber: '4711' }, {});
    const invite = await peer.next('INVITE');
    respond(peer, invite, '180 Ringing', { tag: 'callee' });
    respond(peer, invite, '200 OK', { tag: 'callee', body: ANSWER });
    const dialog = (await calling) as TestDialog;
    return { dialog, invite };
  }

  function targetUri(): string {
    return `sip:peer@127.0.0.1:${peer.port}${transport}`;
  }

  afterEach(async () => {
    await rig.close();
    expect(rig.agent.stats()).toMatchObject({ dialogs: 0, serverTransactions: 0, clientTransactions: 0, clients: 0 });
    expect(rig.logger.events('sip.fault')).toEqual([]);
  });

  describe('answering a call', () => {
    beforeEach(async () => {
      await begin();
    });

    test('100, 180, 200, ACK, then BYE from the caller', async () => {
      call.invite();
      const { request, response } = await rig.nextInvite();
      expect(request.body).toBe(OFFER);
      expect(request.source_port).toBeGreaterThan(0);
      expect(request.receivedOn).toBe(`127.0.0.1:${rig.port(protocol)}`);
      expect(request.get('Via')).toContain(';received=127.0.0.1');
      await peer.next(100);
      response.send(180);
      const ringing = await peer.next(180);
      const answered = answer(rig.srf, request, response, ANSWER);
      const ok = await peer.next('200 INVITE');
      expect(ringing.tag('To')).not.toBe('');
      expect(ok.tag('To')).toBe(ringing.tag('To'));
      expect(ok.header('Contact')).toContain(`127.0.0.1:${rig.port(protocol)}`);
      expect(ok.header('Content-Type')).toBe('application/sdp');
      expect(ok.header('Allow')).toContain('UPDATE');
      expect(ok.body).toBe(ANSWER);
      const dialog = await answered;
      const acknowledged = once(dialog, 'ack');
      call.ack(ok);
      await acknowledged;
      expect(rig.agent.stats().dialogs).toBe(1);
      const destroyed = once(dialog, 'destroy');
      call.next('BYE');
      await peer.next('200 BYE');
      await destroyed;
      expect(rig.agent.stats().dialogs).toBe(0);
    });

    test('BYE from us', async () => {
      const dialog = await establish();
      const over = hangUp(dialog);
      const bye = await peer.next('BYE');
      expect(bye.tag('From')).toBe(call.remoteTag);
      expect(bye.tag('To')).toBe(call.localTag);
      expect(bye.uri).toContain(`peer@127.0.0.1:${peer.port}`);
      respond(peer, bye, '200 OK');
      await over;
      expect(rig.agent.stats().dialogs).toBe(0);
    });

    test('a refusal is acknowledged and forgotten', async () => {
      call.invite();
      const { response } = await rig.nextInvite();
      response.send(486);
      const busy = await peer.next(486);
      expect(busy.tag('To')).not.toBe('');
      call.ack(busy);
      expect(rig.agent.stats().dialogs).toBe(0);
    });

    test('CANCEL while it rings', async () => {
      call.invite();
      const { request, response } = await rig.nextInvite();
      response.send(180);
      await peer.next(180);
      const cancelled = once(request, 'cancel');
      call.cancel();
      const ok = await peer.next('200 CANCEL');
      const terminated = await peer.next('487 INVITE');
      expect(ok.tag('To')).toBe(terminated.tag('To'));
      call.ack(terminated);
      await cancelled;
      expect(rig.agent.stats().dialogs).toBe(0);
    });

    test('an answer given after the CANCEL goes nowhere', async () => {
      call.invite();
      const { request, response } = await rig.nextInvite();
      const cancelled = once(request, 'cancel');
      call.cancel();
      call.ack(await peer.next('487 INVITE'));
      await cancelled;
      await expect(answer(rig.srf, request, response, ANSWER)).rejects.toThrow(/unknown transaction/);
      expect(peer.count('200 INVITE')).toBe(0);
    });

    test('CANCEL after the answer changes nothing', async () => {
      const dialog = await establish();
      call.cancel();
      await peer.next('200 CANCEL');
      expect(dialog.connected).toBe(true);
      expect(rig.agent.stats().dialogs).toBe(1);
      expect(peer.count(487)).toBe(0);
    });

    test('CANCEL of nothing gets 481', async () => {
      call.inviteBranch = branch();
      call.cancel();
      await peer.next('481 CANCEL');
    });

    test('BYE before the answer ends the INVITE', async () => {
      call.invite();
      const { request, response } = await rig.nextInvite();
      response.send(180);
      call.remoteTag = (await peer.next(180)).tag('To');
      const cancelled = once(request, 'cancel');
      call.next('BYE');
      await peer.next('200 BYE');
      await peer.next('487 INVITE');
      await cancelled;
      expect(rig.agent.stats().dialogs).toBe(0);
    });

    test('re-INVITE of theirs', async () => {
      const dialog = await establish();
      const modified = once(dialog, 'modify') as Promise<[SrfRequest, SrfResponse]>;
      const held = OFFER.replace('sendrecv', 'inactive').replace('1 1', '1 2');
      call.sequence += 1;
      call.invite({ body: held });
      const [request, response] = await modified;
      expect(request.body).toBe(held);
      response.send(200, { body: ANSWER });
      const ok = await peer.next('200 INVITE');
      const acknowledged = once(dialog, 'ack');
      call.ack(ok);
      await acknowledged;
    });

    test('a second re-INVITE while the first is unanswered gets 500 with Retry-After', async () => {
      const dialog = await establish();
      const modified = once(dialog, 'modify') as Promise<[SrfRequest, SrfResponse]>;
      call.sequence += 1;
      call.invite();
      const first = call.inviteBranch;
      const [, response] = await modified;
      call.sequence += 1;
      call.invite();
      const refused = await peer.next('500 INVITE');
      expect(Number(refused.header('Retry-After'))).toBeLessThanOrEqual(10);
      call.ack(refused);
      response.send(488);
      const unacceptable = await peer.next('488 INVITE');
      call.ack(unacceptable, { branch: first, sequence: call.sequence - 1 });
      expect(dialog.connected).toBe(true);
    });

    test('CANCEL of a re-INVITE leaves the call up', async () => {
      const dialog = await establish();
      const modified = once(dialog, 'modify') as Promise<[SrfRequest, SrfResponse]>;
      call.sequence += 1;
      call.invite();
      const [request] = await modified;
      const cancelled = once(request, 'cancel');
      call.cancelInside();
      await peer.next('200 CANCEL');
      call.ack(await peer.next('487 INVITE'));
      await cancelled;
      expect(rig.agent.stats().dialogs).toBe(1);
    });

    test('re-INVITE of ours, and its answer again when the ACK was lost', async () => {
      const dialog = await establish();
      const modified = dialog.modify(ANSWER.replace('sendrecv', 'recvonly'));
      const invite = await peer.next('INVITE');
      expect(invite.body).toContain('recvonly');
      expect(invite.header('Contact')).not.toBe('');
      respond(peer, invite, '200 OK', { body: OFFER });
      expect(await modified).toBe(OFFER);
      const ack = await peer.next('ACK');
      expect(ack.header('CSeq').split(' ')[0]).toBe(invite.header('CSeq').split(' ')[0]);
      respond(peer, invite, '200 OK', { body: OFFER });
      expect((await peer.next('ACK')).raw).toBe(ack.raw);
    });

    test('their re-INVITE crossing ours gets 491', async () => {
      const dialog = await establish();
      const modified = dialog.modify(ANSWER);
      const ours = await peer.next('INVITE');
      call.sequence += 1;
      call.invite();
      call.ack(await peer.next('491 INVITE'));
      respond(peer, ours, '491 Request Pending');
      await expect(modified).rejects.toMatchObject({ status: 491 });
    });

    test('a re-INVITE of ours while theirs is unanswered is not even sent', async () => {
      const dialog = await establish();
      const modified = once(dialog, 'modify') as Promise<[SrfRequest, SrfResponse]>;
      call.sequence += 1;
      call.invite();
      const [, response] = await modified;
      await expect(dialog.modify(ANSWER)).rejects.toMatchObject({ status: 491 });
      response.send(200, { body: ANSWER });
      call.ack(await peer.next('200 INVITE'));
      expect(peer.count('INVITE')).toBe(0);
    });

    test('INFO, UPDATE and other requests inside the call, both ways', async () => {
      const dialog = await establish();
      const informed = once(dialog, 'info') as Promise<[SrfRequest, SrfResponse]>;
      call.next('INFO', { headers: ['X-Digit: 5'] });
      const [request, response] = await informed;
      expect(request.get('X-Digit')).toBe('5');
      response.send(200);
      await peer.next('200 INFO');
      call.next('UPDATE', { body: OFFER });
      const updated = await peer.next('200 UPDATE');
      expect(updated.header('Contact')).not.toBe('');
      call.next('OPTIONS');
      await peer.next('200 OPTIONS');

      const sending = dialog.request({ method: 'INFO', headers: { 'Content-Type': 'text/plain' }, body: 'héllo' });
      const info = await peer.next('INFO');
      expect(info.body).toBe('héllo');
      respond(peer, info, '202 Accepted');
      expect((await sending).status).toBe(202);
    });

    test('a request out of order gets 500, one of another dialog 481', async () => {
      await establish();
      call.sequence += 5;
      call.send('INFO');
      await peer.next('200 INFO');
      call.send('INFO', { sequence: call.sequence - 2 });
      await peer.next('500 INFO');
      call.next('INFO', { toTag: 'nobody' });
      await peer.next('481 INFO');
      call.next('BYE', { fromTag: 'somebody' });
      await peer.next('481 BYE');
      expect(rig.agent.stats().dialogs).toBe(1);
    });

    test('BYE crossing BYE', async () => {
      const dialog = await establish();
      const over = hangUp(dialog);
      const bye = await peer.next('BYE');
      call.next('BYE');
      await peer.next('200 BYE');
      respond(peer, bye, '481 Call/Transaction Does Not Exist');
      await over;
      expect(rig.agent.stats().dialogs).toBe(0);
    });

    test('BYE while an INVITE of theirs is unanswered: 487 for the INVITE', async () => {
      const dialog = await establish();
      const modified = once(dialog, 'modify');
      call.sequence += 1;
      call.invite();
      await modified;
      const destroyed = once(dialog, 'destroy');
      call.next('BYE');
      await peer.next('487 INVITE');
      await peer.next('200 BYE');
      await destroyed;
    });

    test('hanging up while our re-INVITE is unanswered cancels it', async () => {
      const dialog = await establish();
      const modified = dialog.modify(ANSWER).catch((error: unknown) => error);
      const invite = await peer.next('INVITE');
      respond(peer, invite, '180 Ringing');
      // Once this is answered, the 180 before it has been read.
      call.next('OPTIONS');
      await peer.next('200 OPTIONS');
      const over = hangUp(dialog);
      const bye = await peer.next('BYE');
      const cancel = await peer.next('CANCEL');
      expect(peer.received.indexOf(cancel)).toBeLessThan(peer.received.indexOf(bye));
      respond(peer, cancel, '200 OK');
      respond(peer, invite, '487 Request Terminated');
      respond(peer, bye, '200 OK');
      await over;
      expect(await modified).toMatchObject({ status: 487 });
    });

    test('the route set of Record-Route', async () => {
      const proxy = `<sip:127.0.0.1:${peer.port};lr${transport}>`;
      const answered = call.establish({
        contact: '<sip:phone@192.0.2.9:5099>',
        headers: [`Record-Route: ${proxy}, <sip:192.0.2.7;lr>`],
      });
      const { request, response } = await rig.nextInvite();
      const dialog = await answer(rig.srf, request, response, ANSWER);
      const ok = await answered;
      expect(ok.headers('Record-Route')).toEqual([`${proxy}, <sip:192.0.2.7;lr>`]);
      const over = hangUp(dialog);
      const bye = await peer.next('BYE');
      expect(bye.uri).toBe('sip:phone@192.0.2.9:5099');
      expect(bye.headers('Route')).toEqual([proxy, '<sip:192.0.2.7;lr>']);
      respond(peer, bye, '200 OK');
      await over;
    });

    test('a Contact that cannot be reached from here: requests go to where the call came from', async () => {
      const answered = call.establish({ contact: '<sip:phone@10.255.255.1:5060>' });
      const { request, response } = await rig.nextInvite();
      const dialog = await answer(rig.srf, request, response, ANSWER);
      await answered;
      const over = hangUp(dialog);
      const bye = await peer.next('BYE');
      expect(bye.uri).toBe('sip:phone@10.255.255.1:5060');
      respond(peer, bye, '200 OK');
      await over;
    });

    test('the target follows a re-INVITE with another Contact', async () => {
      const dialog = await establish();
      call.sequence += 1;
      call.invite({ contact: `<sip:moved@127.0.0.1:${peer.port}>` });
      call.ack(await peer.next('200 INVITE'));
      const over = hangUp(dialog);
      const bye = await peer.next('BYE');
      expect(bye.uri).toBe(`sip:moved@127.0.0.1:${peer.port}`);
      respond(peer, bye, '200 OK');
      await over;
    });

    test('a client that goes away: calls end, ringing ones are refused', async () => {
      await establish();
      const other = new PeerCall(peer, rig.port(protocol));
      other.invite();
      await rig.nextInvite();
      await rig.disconnectClient();
      const bye = await peer.next('BYE');
      expect(bye.header('Reason')).toContain('application gone');
      respond(peer, bye, '200 OK');
      other.ack(await peer.next('503 INVITE'));
      await vi.waitFor(() => expect(rig.agent.stats().dialogs).toBe(0));
    });
  });

  describe('placing a call', () => {
    beforeEach(async () => {
      await begin();
    });

    test('180, 200, ACK, then BYE from us', async () => {
      const { dialog, invite } = await callPeer();
      expect(invite.header('From')).toContain('sip:4711@127.0.0.1');
      expect(invite.header('Contact')).toContain(`4711@127.0.0.1:${rig.port(protocol)}`);
      expect(invite.header('Max-Forwards')).toBe('70');
      expect(invite.body).toBe(OFFER);
      const ack = await peer.next('ACK');
      expect(ack.tag('To')).toBe('callee');
      expect(dialog.remote.sdp).toBe(ANSWER);
      const over = hangUp(dialog);
      const bye = await peer.next('BYE');
      expect(Number(bye.header('CSeq').split(' ')[0])).toBe(Number(invite.header('CSeq').split(' ')[0]) + 1);
      respond(peer, bye, '200 OK');
      await over;
      expect(rig.agent.stats().dialogs).toBe(0);
    });

    test('BYE from the called party', async () => {
      const { dialog, invite } = await callPeer();
      await peer.next('ACK');
      const destroyed = once(dialog, 'destroy');
      const callee = new PeerCall(peer, rig.port(protocol));
      peer.send(
        callee
          .request('BYE', { fromTag: 'callee', toTag: invite.tag('From') })
          .replace(callee.callId, invite.header('Call-ID')),
      );
      await peer.next('200 BYE');
      await destroyed;
      expect(rig.agent.stats().dialogs).toBe(0);
    });

    test('the ACK again for a repeated 200', async () => {
      const { invite } = await callPeer();
      const ack = await peer.next('ACK');
      respond(peer, invite, '200 OK', { tag: 'callee', body: ANSWER });
      expect((await peer.next('ACK')).raw).toBe(ack.raw);
    });

    test('a second phone that answers is hung up on', async () => {
      const { invite } = await callPeer();
      await peer.next('ACK');
      respond(peer, invite, '200 OK', { tag: 'second', body: ANSWER });
      expect((await peer.next('ACK')).tag('To')).toBe('second');
      const bye = await peer.next('BYE');
      expect(bye.tag('To')).toBe('second');
      respond(peer, bye, '200 OK');
      expect(rig.agent.stats().dialogs).toBe(1);
    });

    test('the route set of Record-Route, reversed', async () => {
      const nearby = `<sip:127.0.0.1:${peer.port};lr${transport}>`;
      const calling = rig.srf.createUAC(targetUri(), { localSdp: OFFER }, {});
      const invite = await peer.next('INVITE');
      respond(peer, invite, '200 OK', {
        tag: 'callee',
        headers: ['Record-Route: <sip:192.0.2.1;lr>', `Record-Route: ${nearby}`],
        body: ANSWER,
      });
      await calling;
      const ack = await peer.next('ACK');
      expect(ack.headers('Route')).toEqual([nearby, '<sip:192.0.2.1;lr>']);
    });

    test('a refusal is acknowledged by the agent', async () => {
      const calling = rig.srf.createUAC(targetUri(), { localSdp: OFFER }, {});
      const invite = await peer.next('INVITE');
      respond(peer, invite, '486 Busy Here', { tag: 'callee' });
      await expect(calling).rejects.toMatchObject({ status: 486 });
      const ack = await peer.next('ACK');
      expect(ack.header('Via')).toBe(invite.header('Via'));
      expect(ack.tag('To')).toBe('callee');
      expect(rig.agent.stats().dialogs).toBe(0);
    });

    test('CANCEL waits for a provisional response', async () => {
      let invited: SrfRequest | undefined;
      const calling = rig.srf.createUAC(
        targetUri(),
        { localSdp: OFFER },
        {
          cbRequest: (_error, request) => {
            invited = request;
          },
        },
      );
      const invite = await peer.next('INVITE');
      await new Promise<void>((resolve) => {
        invited?.cancel(() => resolve());
      });
      expect(peer.count('CANCEL')).toBe(0);
      respond(peer, invite, '180 Ringing', { tag: 'callee' });
      const cancel = await peer.next('CANCEL');
      expect(cancel.header('Via')).toBe(invite.header('Via'));
      respond(peer, cancel, '200 OK', { tag: 'callee' });
      respond(peer, invite, '487 Request Terminated', { tag: 'callee' });
      await expect(calling).rejects.toMatchObject({ status: 487 });
      await peer.next('ACK');
      expect(rig.agent.stats().dialogs).toBe(0);
    });

    test('an answer that crosses the CANCEL is acknowledged and hung up on', async () => {
      let invited: SrfRequest | undefined;
      const calling = rig.srf.createUAC(
        targetUri(),
        { localSdp: OFFER },
        {
          cbRequest: (_error, request) => {
            invited = request;
          },
        },
      );
      const invite = await peer.next('INVITE');
      respond(peer, invite, '180 Ringing', { tag: 'callee' });
      await vi.waitFor(() => {
        invited?.cancel(() => undefined);
        expect(peer.count('CANCEL')).toBe(1);
      });
      respond(peer, invite, '200 OK', { tag: 'callee', body: ANSWER });
      const dialog = await calling;
      const destroyed = once(dialog, 'destroy');
      await peer.next('ACK');
      const bye = await peer.next('BYE');
      expect(bye.header('Reason')).toContain('cancel race');
      respond(peer, bye, '200 OK');
      await destroyed;
      await vi.waitFor(() => expect(rig.agent.stats().dialogs).toBe(0));
    });

    test('the agent does not call itself', async () => {
      const calling = rig.srf.createUAC(`sip:me@127.0.0.1:${rig.port(protocol)}${transport}`, { localSdp: OFFER }, {});
      await expect(calling).rejects.toThrow('can not send request to myself');
    });

    test('a request outside any dialog', async () => {
      const request = await rig.srf.request(targetUri(), { method: 'OPTIONS' });
      const responded = once(request, 'response') as Promise<[SrfResponse]>;
      respond(peer, await peer.next('OPTIONS'), '200 OK', { tag: 'x' });
      const [response] = await responded;
      expect(response.status).toBe(200);
    });
  });

  describe('losing messages', () => {
    beforeEach(async () => {
      await begin(FAST);
    });

    test('a repeated INVITE is one call, answered again each time', async () => {
      const text = call.invite();
      const { request, response } = await rig.nextInvite();
      await peer.next(100);
      peer.send(text);
      await peer.next(100);
      response.send(180);
      await peer.next(180);
      peer.send(text);
      await peer.next(180);
      await answer(rig.srf, request, response, ANSWER);
      peer.send(text);
      const ok = await peer.next('200 INVITE');
      call.ack(ok);
      expect(rig.offered).toEqual([]);
      expect(rig.agent.stats().dialogs).toBe(1);
    });

    test('a lost 200 is repeated until the ACK', async () => {
      call.invite();
      const { request, response } = await rig.nextInvite();
      const dialog = await answer(rig.srf, request, response, ANSWER);
      const first = await peer.next('200 INVITE');
      await peer.next('200 INVITE');
      expect((await peer.next('200 INVITE')).raw).toBe(first.raw);
      const acknowledged = once(dialog, 'ack');
      call.ack(first);
      await acknowledged;
      const count = peer.count('200 INVITE');
      call.next('INFO');
      await peer.next('200 INFO');
      // On loopback, a copy sent before the ACK was read may still have been under way; later ones may not.
      expect(peer.count('200 INVITE')).toBeLessThanOrEqual(count + 1);
    });

    test('no ACK at all: BYE after 64·T1, and the application hears of it', async () => {
      call.invite();
      const { request, response } = await rig.nextInvite();
      const dialog = await answer(rig.srf, request, response, ANSWER);
      const destroyed = once(dialog, 'destroy') as Promise<[SrfRequest, string]>;
      const bye = await peer.next('BYE');
      expect(bye.header('Reason')).toContain('ACK timeout');
      respond(peer, bye, '200 OK');
      const [, reason] = await destroyed;
      expect(reason).toBe('ACK timeout');
      await nothingLeft(rig);
    });

    test('a BYE of ours waits for the ACK', async () => {
      call.invite();
      const { request, response } = await rig.nextInvite();
      const dialog = await answer(rig.srf, request, response, ANSWER);
      const over = hangUp(dialog);
      await peer.next('200 INVITE');
      const ok = await peer.next('200 INVITE');
      expect(peer.count('BYE')).toBe(0);
      call.ack(ok);
      respond(peer, await peer.next('BYE'), '200 OK');
      await over;
      await nothingLeft(rig);
    });

    test('a peer that answers nothing: 408', async () => {
      const calling = rig.srf.createUAC(targetUri(), { localSdp: OFFER }, {});
      await expect(calling).rejects.toMatchObject({ status: 408 });
      // Seven by the book, at 63·T1 the last: real timers may be late for it.
      if (protocol === 'udp') expect(peer.count('INVITE')).toBeGreaterThanOrEqual(5);
      else expect(peer.count('INVITE')).toBe(1);
      await nothingLeft(rig);
    });

    test('a BYE nobody answers ends the call all the same', async () => {
      const dialog = await establish();
      await hangUp(dialog);
      expect(peer.count('BYE')).toBeGreaterThan(0);
      await nothingLeft(rig);
    });

    test('a refusal is repeated with the INVITE, until its ACK', async () => {
      const text = call.invite();
      const { response } = await rig.nextInvite();
      response.send(603);
      const refused = await peer.next(603);
      peer.send(text);
      await peer.next(603);
      call.ack(refused);
      await nothingLeft(rig);
    });
  });
});
