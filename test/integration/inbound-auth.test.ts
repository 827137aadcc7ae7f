import { join } from 'node:path';
import { afterEach, describe, expect, it, onTestFinished } from 'vitest';
import { DigestClient } from '../../src/signaling/auth/digest-client.js';
import { digestHa1, digestResponse, formatAnswer } from '../../src/signaling/auth/digest.js';
import { TELEPHONE_RATE_HZ } from '../../src/phone/heard-audio.js';
import { tone } from '../../src/simulator/speech.js';
import { TestCaller } from '../../src/phone/test-caller.js';
import { writeWav } from '../../src/phone/wav.js';
import { AgentRig } from '../support/agent-rig.js';
import { BridgeUnderTest, SILENT_LOGGER } from '../support/bridge-under-test.js';
import { FOREIGN_PHONE } from '../support/real-time.js';
import { OFFER, PeerCall } from '../support/sip-call.js';
import { UdpPeer, type SipText } from '../support/sip-peer.js';
import { hangUp } from '../support/srf-client.js';
import { hasBaresip, isInstalled, runBaresip, runSipp, withTemporaryDirectory } from '../support/tools.js';

const ALICE = { user: 'alice', password: 'wonderland' };

describe('callers who have to show a password', () => {
  let under: BridgeUnderTest;

  async function begin(auth: object = {}): Promise<void> {
    under = await BridgeUnderTest.start({ config: { sip: { auth: { users: [ALICE], ...auth } } } });
  }

  afterEach(async () => {
    await under.stop();
    expect(JSON.stringify(under.log.lines)).not.toContain(ALICE.password);
  });

  it.skipIf(!isInstalled('sipp')).each(['udp', 'tcp'] as const)(
    'sipp over %s (skipped when it is not installed)',
    FOREIGN_PHONE,
    async (protocol) => {
      await begin({ algorithms: ['MD5'] });
      const { exitCode, report } = await runSipp({
        ...{ scenario: 'challenged', protocol, port: under.port(protocol), number: '100', calls: 3 },
      });
      expect(exitCode, report).toBe(0);
      // The challenged INVITEs are no calls.
      expect(under.log.events('call.received')).toHaveLength(3);
      expect(under.log.events('sip.auth_failed')).toEqual([]);
    },
  );

  it.skipIf(!hasBaresip()).each([
    ['that is right', ALICE.password, true],
    ['that is wrong', 'looking-glass', false],
  ])('baresip with a password %s (skipped when it is not installed)', FOREIGN_PHONE, async (_, password, isRight) => {
    await begin({ algorithms: ['MD5'] });
    await withTemporaryDirectory(async (directory) => {
      const play = join(directory, 'caller.wav');
      writeWav(play, [tone(880, 500)], TELEPHONE_RATE_HZ);
      const uri = `sip:100@127.0.0.1:${under.port('udp')}`;
      const credentials = { user: ALICE.user, password };
      await runBaresip({ uri, codec: 'PCMU', play, quitAfterSec: 3, directory, credentials });
    });
    expect(under.log.events('call.received')).toHaveLength(isRight ? 1 : 0);
    expect(under.log.events('sip.auth_failed').length > 0).toBe(!isRight);
  });

  it('drachtio-srf, whose own client knows MD5 alone', async () => {
    await begin({ algorithms: ['MD5'] });
    const rig = await AgentRig.start();
    await rig.withClient();
    onTestFinished(() => rig.close());
    const uri = `sip:100@127.0.0.1:${under.port('udp')}`;
    const auth = (password: string) => ({ localSdp: OFFER, auth: { username: 'alice', password } });
    await hangUp(await rig.srf.createUAC(uri, auth(ALICE.password), {}));
    await expect(rig.srf.createUAC(uri, auth('wrong-secret'), {})).rejects.toMatchObject({ status: 401 });
    await under.log.wait('call.ended');
    expect(under.log.events('sip.auth_failed')).toMatchObject([{ user: 'alice', address: '127.0.0.1' }]);
  });

  it.each([
    ['SHA-256 first', ['SHA-256', 'MD5']],
    ['MD5 alone', ['MD5']],
  ])('the test caller, asked for %s', async (_, algorithms) => {
    await begin({ algorithms });
    const caller = await TestCaller.start({ logger: SILENT_LOGGER });
    onTestFinished(() => caller.close());
    const uri = `sip:100@127.0.0.1:${under.port('udp')}`;
    const call = caller.call(uri, { credentials: ALICE });
    await call.answered;
    await call.hangUp();
    expect(under.log.events('sip.auth_failed')).toEqual([]);

    const wrong = caller.call(uri, { credentials: { ...ALICE, password: 'looking-glass' } });
    await expect(wrong.answered).rejects.toMatchObject({ status: 401 });
    await expect(caller.call(uri).answered).rejects.toMatchObject({ status: 401 });
    await under.log.wait('call.ended');
    expect(under.log.events('call.received')).toHaveLength(1);
    expect(caller.held).toMatchObject({ calls: 0, rtpPorts: 0, ticking: 0 });
  });

  it('is challenged in a header field for each algorithm, and only for an INVITE outside a call', async () => {
    await begin();
    const peer = await UdpPeer.open({ address: '127.0.0.1', port: under.port('udp') });
    onTestFinished(() => peer.close());
    const call = new PeerCall(peer, under.port('udp'));
    call.invite();
    const challenged = await peer.next('401 INVITE');
    expect(challenged.headers('WWW-Authenticate')).toEqual([
      expect.stringMatching(/^Digest realm="pranthora-sip-bridge", nonce="[\w-]{38}", algorithm=SHA-256, qop="auth"$/),
      expect.stringMatching(/^Digest realm="pranthora-sip-bridge", nonce="[\w-]{38}", algorithm=MD5, qop="auth"$/),
    ]);
    call.ack(challenged);
    call.send('OPTIONS', { toTag: '', sequence: 7 });
    await peer.next('200 OPTIONS');
    // Our own client takes the stronger one of the two.
    const digest = new DigestClient(ALICE);
    const expected = ['401 INVITE', '200 INVITE'];
    const { response } = await digest.request({ method: 'INVITE', uri: call.target }, async (headers) => {
      call.sequence += 1;
      call.remoteTag = '';
      call.invite({ headers: Object.entries(headers).map(([name, value]) => `${name}: ${value}`) });
      const answered = await peer.next(expected.shift() ?? '');
      call.ack(answered);
      return { status: answered.status, get: (name) => answered.headers(name).join(',') };
    });
    expect(response.status).toBe(200);
    call.sequence += 1;
    call.invite();
    call.ack(await peer.next('200 INVITE'));
    call.sequence += 1;
    call.send('BYE');
    await peer.next('200 BYE');
  });

  it('is not locked out by whoever writes his address on datagrams, nor by who guesses there', async () => {
    await begin();
    const [pbx, elsewhere] = await Promise.all([open(), open('127.0.0.2')]);
    // What a forger has: nonces he made up, and those he was sent himself.
    const theirs = await nonceFor(elsewhere);
    for (let count = 0; count < 1_000; count++) {
      const verdict = await tryCall(pbx, 401, { nonce: count % 2 ? theirs : `${count}`, password: 'guess' });
      expect(verdict.header('WWW-Authenticate')).toContain('stale=true');
    }
    expect(under.log.events('sip.auth_failed')).toEqual([]);
    await tryCall(pbx, 200, { nonce: await nonceFor(pbx) });
    // A neighbour behind the same NAT has nonces that count.
    for (let count = 0; count < 10; count++) await tryCall(pbx, 401, { nonce: await nonceFor(pbx), password: 'guess' });
    const waits = await tryCall(pbx, 403, { nonce: await nonceFor(pbx), password: 'guess' });
    expect(waits.header('Retry-After')).toBe('1');
    await tryCall(pbx, 200, { nonce: await nonceFor(pbx) });
    expect(under.log.events('sip.auth_locked')).toMatchObject([{ address: '127.0.0.1', attempts: 10, lockMs: 1_000 }]);
  });

  async function open(address?: string): Promise<UdpPeer> {
    const peer = await UdpPeer.open({ address: '127.0.0.1', port: under.port('udp') }, address);
    onTestFinished(() => peer.close());
    return peer;
  }

  /** An INVITE to the final answer wanted; a call that comes of it is hung up. */
  async function tryCall(
    peer: UdpPeer,
    status: number,
    answer?: { nonce: string; password?: string },
  ): Promise<SipText> {
    const call = new PeerCall(peer, under.port('udp'));
    const headers = answer ? [`Authorization: ${authorization(call.target, { ...ALICE, ...answer })}`] : [];
    call.invite({ headers });
    for (;;) {
      const response = await peer.next(`${status} INVITE`);
      if (response.header('Call-ID') !== call.callId) continue;
      call.ack(response);
      if (status === 200) {
        call.next('BYE');
        await peer.next('200 BYE');
      }
      return response;
    }
  }

  async function nonceFor(peer: UdpPeer): Promise<string> {
    const challenged = await tryCall(peer, 401);
    return /nonce="([^"]*)"/.exec(challenged.header('WWW-Authenticate'))?.[1] ?? '';
  }
});

function authorization(uri: string, { user, password, nonce }: Record<'user' | 'password' | 'nonce', string>): string {
  const realm = 'pranthora-sip-bridge';
  const ha1 = digestHa1('SHA-256', user, realm, password);
  const count = { nc: '00000001', cnonce: 'c' };
  const response = digestResponse({ algorithm: 'SHA-256', ha1, method: 'INVITE', uri, nonce, count });
  return formatAnswer({ user, realm, nonce, uri, algorithm: 'SHA-256', response, count });
}
