import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { DrachtioFilter } from '../../src/signaling/drachtio/drachtio-filter.js';
import { DrachtioSipEndpoint } from '../../src/signaling/drachtio/drachtio.js';
import type { DialogHandlers, IncomingInvite } from '../../src/signaling/sip-endpoint.js';
import { UnknownSources } from '../../src/sip-agent/guard/unknown-sources.js';
import { AgentRig } from '../support/agent-rig.js';
import { FakeClock } from '../support/fake-clock.js';
import { RecordingLogger } from '../support/recording-logger.js';
import { ANSWER, branch, OFFER, PeerCall } from '../support/sip-call.js';
import { UdpPeer } from '../support/sip-peer.js';

const SECRET = 'of the test';
const OUTSIDER = '127.0.0.66';
const PHONE = '127.0.0.67';

/** A SIP server that lets everybody into its dialogs and serves every method, as drachtio-server does. */
describe('behind drachtio-server, in a dialog', () => {
  let rig: AgentRig;
  let endpoint: DrachtioSipEndpoint;
  let call: PeerCall;
  let unknownSources: UnknownSources;
  const logger = new RecordingLogger();
  const others: UdpPeer[] = [];
  const invites: IncomingInvite[] = [];
  const heard: string[] = [];
  const refused: string[] = [];

  const handlers: DialogHandlers = {
    onEnd: () => heard.push('end'),
    onAck: () => heard.push('ack'),
    onRenegotiate: ({ method }) => {
      heard.push(method);
      return Promise.resolve(ANSWER);
    },
    onDigit: ({ digit }) => heard.push(`digit ${digit}`),
  };

  beforeEach(async () => {
    rig = await AgentRig.start({ secret: SECRET });
    const clock = new FakeClock();
    unknownSources = new UnknownSources(clock, logger);
    const filter = new DrachtioFilter({
      isKnown: (address) => address === '127.0.0.1',
      scannerName: () => undefined,
      unknownSources,
      scanners: unknownSources,
      onRefused: (kind) => refused.push(kind),
    });
    endpoint = new DrachtioSipEndpoint(
      { ...rig.addresses.wire, secret: SECRET, clock, logger, objectionInDialog: filter.objectionInDialog },
      { onInvite: (invite) => invites.push(invite), onConnection: () => undefined },
    );
    await endpoint.connect();
    call = new PeerCall(await rig.udpPeer(), rig.port('udp'));
    call.invite({ contact: `<sip:phone@${PHONE}:5070>` });
    await vi.waitFor(() => expect(invites).toHaveLength(1));
    await invites.pop()?.answer(ANSWER, handlers);
    call.ack(await call.peer.next('200 INVITE'));
    await vi.waitFor(() => expect(heard).toEqual(['ack']));
    heard.length = 0;
  });

  afterEach(async () => {
    unknownSources.close();
    await Promise.all(others.splice(0).map((peer) => peer.close()));
    endpoint.close();
    await rig.close();
    for (const list of [logger.lines, heard, refused]) list.length = 0;
  });

  async function at(address: string): Promise<UdpPeer> {
    const peer = await UdpPeer.open({ address: '127.0.0.1', port: rig.port('udp') }, address);
    others.push(peer);
    return peer;
  }

  function send(by: UdpPeer, method: string, sequence: number, headers: string[] = [], body = ''): void {
    const text = call.request(method, { sequence, body, headers, contact: by.contact });
    by.send(text.replace(/^Via: .*$/m, `Via: SIP/2.0/${by.sentBy};rport;branch=${branch()}`));
  }

  const DIGIT = ['Content-Type: application/dtmf'];

  test('an address outside sip.allow gets 403 for all it sends, a BYE too', async () => {
    const outsider = await at(OUTSIDER);
    for (const [method, headers, body] of [
      ['INVITE', [], OFFER],
      ['UPDATE', [], OFFER],
      ['INFO', DIGIT, '5'],
      ['OPTIONS', [], ''],
      ['BYE', [], ''],
    ] as const) {
      call.sequence += 1;
      send(outsider, method, call.sequence, [...headers], body);
      const refusal = await outsider.next(`403 ${method}`);
      expect(refusal.header('Warning')).toContain(`${OUTSIDER} is not in sip.allow and has no part in this call`);
    }
    expect(heard).toEqual([]);
    expect(refused).toEqual(['forbidden', 'forbidden', 'forbidden', 'forbidden', 'forbidden']);
    expect(logger.lines.filter(({ event }) => event === 'sip.forbidden')).toMatchObject([
      { address: OUTSIDER, method: 'INVITE', setting: 'sip.allow' },
    ]);
  });

  test('its peer, and who its Contact names, is heard', async () => {
    const phone = await at(PHONE);
    send(phone, 'INFO', 2, DIGIT, '5');
    await phone.next('200 INFO');
    call.sequence = 2;
    call.next('INFO', { headers: DIGIT, body: '6' });
    await call.peer.next('200 INFO');
    send(phone, 'BYE', 4);
    await phone.next('200 BYE');
    await vi.waitFor(() => expect(heard).toEqual(['digit 5', 'digit 6', 'end']));
  });

  test.each(['REFER', 'MESSAGE'])('a %s is not taken for granted', async (method) => {
    call.next(method, { headers: ['Refer-To: <sip:x@y>'] });
    const refusal = await call.peer.next(`405 ${method}`);
    expect(refusal.header('Allow')).toBe('INVITE, ACK, CANCEL, BYE, OPTIONS, INFO, UPDATE, PRACK, NOTIFY');
    call.next('OPTIONS');
    const ok = await call.peer.next('200 OPTIONS');
    expect(ok.header('Allow')).toBe(refusal.header('Allow'));
    expect(ok.header('Accept')).toMatch(/^application\/sdp, multipart\//);
  });
});
