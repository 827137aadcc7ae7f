import { once } from 'node:events';
import { networkInterfaces } from 'node:os';
import { afterEach, describe, expect, test } from 'vitest';
import { AgentRig, type Protocol } from '../support/agent-rig.js';
import { LOOPBACK } from '../support/certificates.js';
import { ANSWER, OFFER, PeerCall, respond } from '../support/sip-call.js';
import type { SipPeer } from '../support/sip-peer.js';
import { answer, hangUp } from '../support/srf-client.js';

const hasIpv6 = Object.values(networkInterfaces()).some((addresses) =>
  addresses?.some(({ address }) => address === '::1'),
);

let rig: AgentRig;

afterEach(async () => {
  await rig.close();
  expect(rig.agent.stats()).toMatchObject({ dialogs: 0, serverTransactions: 0, clientTransactions: 0 });
  expect(rig.logger.events('sip.fault')).toEqual([]);
});

async function peerOn(protocol: Protocol): Promise<SipPeer> {
  if (protocol === 'tls') return rig.tlsPeer(LOOPBACK, '::1');
  return protocol === 'udp' ? rig.udpPeer('::1') : rig.tcpPeer('::1');
}

describe.skipIf(!hasIpv6).each(['[::1]', '[::]'])(
  'an agent listening on %s (skipped where there is no IPv6)',
  (address) =>
    describe.each<Protocol>(['udp', 'tcp', 'tls'])('over %s', (protocol) => {
      const transport = protocol === 'udp' ? '' : `;transport=${protocol}`;

      async function begin(): Promise<SipPeer> {
        const tls = { ...LOOPBACK, clientCertificate: 'never' } as const;
        rig = await (await AgentRig.start({ listen: [`${protocol}://${address}:0`], tls })).withClient();
        return peerOn(protocol);
      }

      test('is called, and hangs up', async () => {
        const peer = await begin();
        const port = rig.port(protocol);
        const call = new PeerCall(peer, port);
        const answered = call.establish({ uri: `sip:1000@[::1]:${port}${transport}` });
        const { request, response } = await rig.nextInvite();
        expect(request.source_address).toBe('::1');
        expect(request.get('Via')).toContain(`[::1]:${peer.port};`);
        expect(request.get('Via')).toMatch(/;rport=\d+;received=::1/);
        const accepted = answer(rig.srf, request, response, ANSWER);
        const ok = await answered;
        expect(ok.header('Contact')).toBe(`<sip:[::1]:${port}${transport}>`);
        const over = hangUp(await accepted);
        const bye = await peer.next('BYE');
        expect(bye.uri).toBe(`sip:peer@[::1]:${peer.port}${transport}`);
        expect(bye.header('Via')).toMatch(new RegExp(`^SIP/2\\.0/${peer.protocol} \\[::1\\]:${port};`));
        respond(peer, bye, '200 OK');
        await over;
      });

      test('calls', async () => {
        const peer = await begin();
        const uri = `sip:peer@[::1]:${peer.port}${transport}`;
        const calling = rig.srf.createUAC(uri, { localSdp: OFFER }, {});
        const invite = await peer.next('INVITE');
        expect(invite.uri).toBe(uri);
        expect(invite.header('Contact')).toContain(`[::1]:${rig.port(protocol)}`);
        respond(peer, invite, '200 OK', { tag: 'callee', body: ANSWER });
        const ack = await peer.next('ACK');
        expect(ack.uri).toBe(`sip:peer@[::1]:${peer.port}${transport}`);
        const dialog = await calling;
        const destroyed = once(dialog, 'destroy');
        const bye = new PeerCall(peer, rig.port(protocol));
        peer.send(
          bye
            .request('BYE', { toTag: ack.tag('From'), fromTag: 'callee', uri: `sip:[::1]:${rig.port(protocol)}` })
            .replace(bye.callId, ack.header('Call-ID')),
        );
        await peer.next('200 BYE');
        await destroyed;
      });
    }),
);
