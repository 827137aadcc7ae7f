import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import type { CallRecord } from '../../src/events/call-record.js';
import type { Health } from '../../src/ops/health.js';
import type { CallSnapshot } from '../../src/records/call-snapshot.js';
import { AGENT_RATE_HZ } from '../../src/simulator/speech.js';
import type { Scenario, SimulatorSession } from '../../src/simulator/simulator-session.js';
import { BridgeUnderTest } from '../support/bridge-under-test.js';
import { measuresRealTime } from '../support/real-time.js';
import { RtpPhone } from '../support/rtp-phone.js';
import { tone } from '../support/signal.js';
import { PeerCall } from '../support/sip-call.js';
import { UdpPeer } from '../support/sip-peer.js';

measuresRealTime();

/** An agent that speaks from the beginning to the end, or never. */
const agent = (speaks: boolean): Scenario => ({
  onOpen: (session: SimulatorSession) => {
    session.start();
    if (!speaks) return;
    session.say(tone({ rateHz: AGENT_RATE_HZ, frequencyHz: 620, levelDbm0: -10, durationMs: 20_000 }));
  },
});

let under: BridgeUnderTest;
let peer: UdpPeer;
let phone: RtpPhone;
let call: PeerCall;

beforeAll(async () => {
  under = await BridgeUnderTest.start({
    routes: [
      { did: '1000', agentId: 'talker' },
      { did: '2000', agentId: 'silent' },
    ],
    simulator: { scenarioFor: (agentId) => agent(agentId === 'talker') },
  });
});

afterAll(async () => {
  await under.stop();
});

/** A call that is answered; `sdp` makes of the telephone's own offer what is sent. */
async function answered(number = '1000', sdp = (own: string): string => own): Promise<string> {
  peer = await UdpPeer.open({ address: '127.0.0.1', port: under.port('udp') });
  phone = await RtpPhone.open(0);
  call = new PeerCall(peer, under.port('udp'));
  const uri = `sip:${number}@127.0.0.1:${under.port('udp')}`;
  return (await call.establish({ uri, body: sdp(phone.sdp()) })).body;
}

/** Speaks from now on, to where an answer says. */
function talkTo(answer: string): void {
  phone.talkTo(answer);
}

/** Ends the call; its record. */
async function hungUp(): Promise<CallRecord> {
  call.next('BYE');
  await peer.next('200 BYE');
  return await under.record(call.callId);
}

async function live(): Promise<CallSnapshot> {
  const response = await fetch(`${under.bridge.http}/calls/${encodeURIComponent(call.callId)}`);
  return (await response.json()) as CallSnapshot;
}

/** Until the agent has got, and the telephone heard, so many packets. */
async function heardBothWays(packets: number): Promise<void> {
  await vi.waitFor(() => expect(phone.heardSince(0)).toBeGreaterThan(packets), PATIENCE);
}
const PATIENCE = { timeout: 8_000, interval: 20 };

afterEach(async () => {
  await phone.close();
  await peer.close();
});

describe('the verdict on a call', () => {
  it('that went well, while it lasts and in its record', async () => {
    talkTo(await answered());
    await vi.waitFor(async () => {
      expect((await live()).verdict).toBe('two-way audio');
    }, PATIENCE);
    const health = (await (await fetch(`${under.bridge.http}/health`)).json()) as Health;
    expect(health.components.pranthora.detail).toMatch(/^last agent connected in \d+ ms$/);
    const { verdict, quality } = await hungUp();
    expect(verdict).toBe('two-way audio');
    expect(quality?.uplink.mos).toBeDefined();
    expect(quality?.uplink.receivedMs).toBeGreaterThan(2_000);
    expect(quality?.uplink.addedDelayMs?.count).toBeGreaterThan(100);
    // This telephone has no RTCP: what it heard is not known.
    expect(quality?.downlink).toEqual({ agentUnderruns: 0 });
  });

  it('whose caller sends nothing', async () => {
    await answered();
    await heardBothWays(50);
    const said = /^no RTP from the caller: the SDP said 127\.0\.0\.1:\d+, private, nothing arrived in [\d.]+ s$/;
    expect((await hungUp()).verdict).toMatch(said);
  });

  it('whose SDP names a private address, and whose RTP comes from elsewhere', async () => {
    talkTo(await answered('1000', (own) => own.replaceAll('127.0.0.1', '10.1.2.3')));
    await heardBothWays(50);
    const said =
      /^two-way audio; the caller's RTP came from 127\.0\.0\.1:\d+, not from 10\.1\.2\.3:\d+ as its SDP said$/;
    expect((await hungUp()).verdict).toMatch(said);
  });

  it('whose agent keeps silent', async () => {
    talkTo(await answered('2000'));
    await heardBothWays(50);
    expect((await hungUp()).verdict).toBe('agent never spoke');
  });

  it('that is on hold from its beginning to its end', async () => {
    await answered('1000', (own) => own.replace('sendrecv', 'inactive'));
    const session = under.simulator.sessions.at(-1);
    await vi.waitFor(() => expect(session?.receivedAudio().length).toBeGreaterThan(AGENT_RATE_HZ / 2), PATIENCE);
    expect((await hungUp()).verdict).toBe(
      'nothing from the caller: its SDP had the call on hold throughout; ' +
        'caller never heard: its SDP had us on hold throughout',
    );
  });

  it('that was on hold for a while', async () => {
    talkTo(await answered());
    await heardBothWays(20);
    phone.beSilent();
    call.sequence += 1;
    await call.establish({ body: phone.sdp({ direction: 'sendonly', version: 2 }), toTag: call.remoteTag });
    const heldAtMs = performance.now();
    await vi.waitFor(() => expect(performance.now() - heldAtMs).toBeGreaterThan(700), PATIENCE);
    call.sequence += 1;
    talkTo((await call.establish({ body: phone.sdp({ version: 3 }), toTag: call.remoteTag })).body);
    await heardBothWays(40);
    expect((await hungUp()).verdict).toMatch(/^two-way audio; on hold for (0\.[789]|1(\.\d)?) s$/);
  });
});
