import { afterAll, beforeAll, expect, it } from 'vitest';
import { BridgeUnderTest } from '../support/bridge-under-test.js';
import { PeerCall, respond } from '../support/sip-call.js';
import { UdpPeer } from '../support/sip-peer.js';

const OF_THE_LAN = '192.0.2.20';
const OF_THE_INTERNET = '203.0.113.7';
const ADVERTISE = [{ peers: ['127.0.0.2/32'], address: OF_THE_LAN }, { address: OF_THE_INTERNET }];

let under: BridgeUnderTest;

beforeAll(async () => {
  under = await BridgeUnderTest.start({
    config: {
      sip: { listen: ['udp://0.0.0.0:0'], advertise: ADVERTISE },
      media: { bind: '0.0.0.0', advertise: ADVERTISE },
    },
  });
});

afterAll(async () => {
  await under.stop();
});

it.each([
  { peerAddress: '127.0.0.2', advertised: OF_THE_LAN },
  { peerAddress: '127.0.0.1', advertised: OF_THE_INTERNET },
])(
  'tells a peer at $peerAddress to come to $advertised, with SIP and with RTP',
  async ({ peerAddress, advertised }) => {
    const port = under.port('udp');
    const peer = await UdpPeer.open({ address: '127.0.0.1', port }, peerAddress);
    const call = new PeerCall(peer, port);
    const session = under.nextSession('echo');

    const answer = await call.establish();
    expect(answer.header('Contact')).toBe(`<sip:${advertised}:${port}>`);
    expect(answer.body).toContain(`\r\nc=IN IP4 ${advertised}\r\n`);
    expect(answer.body).toMatch(new RegExp(`^o=- \\d+ 1 IN IP4 ${advertised.replaceAll('.', '\\.')}\r$`, 'm'));

    // The agent hangs up: a request of the bridge's own.
    (await session).close(1000, 'bye');
    const bye = await peer.next('BYE');
    expect(bye.header('Via')).toContain(`SIP/2.0/UDP ${advertised}:${port};`);
    respond(peer, bye, '200 OK');
    await under.record(call.callId);
    await peer.close();
  },
);
