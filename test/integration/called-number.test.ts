import { afterEach, describe, expect, it } from 'vitest';
import { BridgeUnderTest, type LogLine } from '../support/bridge-under-test.js';
import { PeerCall } from '../support/sip-call.js';
import { UdpPeer } from '../support/sip-peer.js';

const ROUTES = [
  { did: '+15550100', agentId: 'dialled', mode: 'telephony' },
  { default: true, agentId: 'other', mode: 'telephony' },
];

describe('the number called and who calls', () => {
  let under: BridgeUnderTest;
  let peer: UdpPeer;

  async function begin(sip: Readonly<Record<string, unknown>>): Promise<void> {
    under = await BridgeUnderTest.start({ config: { sip }, routes: ROUTES });
    peer = await UdpPeer.open({ address: '127.0.0.1', port: under.port('udp') });
  }

  afterEach(async () => {
    await peer.close();
    await under.stop();
  });

  /** A whole call with such headers: what the log, the record and the agent were told. */
  async function call(headers: readonly string[]): Promise<{ received: LogLine; record: object; told: object }> {
    const call = new PeerCall(peer, under.port('udp'));
    await call.establish({ headers });
    call.next('BYE');
    await peer.next('200 BYE');
    const record = await under.record(call.callId);
    const told = under.simulator.sessions.at(-1)?.clientStart?.customParameters ?? {};
    return { received: await under.log.wait('call.received', call.callId), record, told };
  }

  it('are found where the trunk puts them', async () => {
    await begin({ didFrom: [{ peers: ['127.0.0.0/8'], from: ['diversion', 'historyInfo', 'requestUri'] }] });
    const { received, record, told } = await call([
      'Diversion: "Second, hop" <sip:+15550199@carrier.example>;reason=no-answer',
      'Diversion: <tel:+1-555-0100>;reason=unconditional',
      'History-Info: <sip:+15550188@carrier.example>;index=1',
      'P-Asserted-Identity: "ACME, Inc." <sip:+15550007@carrier.example>, <tel:+1-555-0007>',
    ]);
    const known = { from: 'peer', fromName: 'Peer', assertedIdentity: '+15550007', did: '+15550100' };
    expect(received).toMatchObject(known);
    expect(record).toMatchObject({ ...known, to: '1000', route: 'did:+15550100', agentId: 'dialled' });
    expect(told).toMatchObject({ ...known, to: '1000' });
  });

  it('are the Request-URI by default, and nothing of a caller who wants privacy', async () => {
    await begin({});
    const { received, record, told } = await call([
      'Diversion: <sip:+15550100@carrier.example>',
      'P-Asserted-Identity: "ACME" <tel:+15550007>',
      'Privacy: id',
    ]);
    expect(record).toMatchObject({ did: '1000', agentId: 'other' });
    expect(JSON.stringify([received, record, told, under.log.lines])).not.toMatch(/5550007|ACME|fromName/);
  });
});
