import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { TELEPHONE_RATE_HZ } from '../../src/phone/heard-audio.js';
import { writeWav } from '../../src/phone/wav.js';
import { newRtpPacket, writeRtpHeader } from '../../src/rtp/packet.js';
import { readRtcp } from '../../src/rtp/rtcp-packet.js';
import { RtcpSession } from '../../src/rtp/rtcp-session.js';
import { BridgeRig, ListeningAgent } from '../support/bridge-rig.js';
import { BridgeUnderTest } from '../support/bridge-under-test.js';
import { dissectRtcp, hasTshark } from '../support/dissect.js';
import { FOREIGN_PHONE, measuresRealTime } from '../support/real-time.js';
import { tone } from '../support/signal.js';
import { hasBaresip, runBaresip, withTemporaryDirectory } from '../support/tools.js';

measuresRealTime();

/** Long enough for each side to have answered a report of the other's. */
const TALK_MS = 14_000;

describe.skipIf(!hasBaresip())(
  'RTCP with baresip (skipped when it is not installed with its WAV modules)',
  FOREIGN_PHONE,
  () => {
    let under: BridgeUnderTest;

    beforeAll(async () => {
      under = await BridgeUnderTest.start({ routes: [{ pattern: '10.', agentId: 'echo' }] });
    });

    afterAll(async () => {
      await under.stop();
    });

    it.concurrent.each([
      { where: 'on its own port', number: '100', rtcpMux: false },
      { where: 'on the port of the RTP', number: '101', rtcpMux: true },
    ])('$where: each learns what the other hears', async ({ number, rtcpMux }) => {
      await withTemporaryDirectory(async (directory) => {
        const play = join(directory, 'caller.wav');
        const said = { rateHz: TELEPHONE_RATE_HZ, frequencyHz: 1_020, levelDbm0: -10, durationMs: TALK_MS };
        writeWav(play, [tone(said)], TELEPHONE_RATE_HZ);
        const uri = `sip:${number}@127.0.0.1:${under.port('udp')};transport=udp`;

        const called = { uri, codec: 'PCMU', play, directory, rtcpMux } as const;
        const { output } = await runBaresip({ ...called, quitAfterSec: 1 + TALK_MS / 1_000 });

        const received = under.log.events('call.received').find((line) => line['to'] === number);
        const record = await under.record(String(received?.['callId']));
        expect(output.includes('RTP/RTCP multiplexing enabled')).toBe(rtcpMux);
        expect(record).toMatchObject({ verdict: 'two-way audio', uplink: { lost: 0, foreign: 0, malformed: 0 } });
        // What it says of what it heard of us; the two processes are as far from each other as the machine is busy.
        expect(record.quality?.downlink.lossPercent).toBe(0);
        expect(record.quality?.downlink.mos).toBeGreaterThan(4);
        expect(record.quality?.roundTripMs).toBeLessThan(500);
        // What it knows of what we heard and sent, from our reports: nearly all of 14 s of packets, and none lost.
        const [, sent, heard] = /^pkt\.report: +(\d+) +(\d+)$/m.exec(output) ?? [];
        expect(Number(sent)).toBeGreaterThan(200);
        expect(Number(heard)).toBeGreaterThan(200);
        expect(output).toMatch(/^lost: +0 +0$/m);
      });
    });
  },
);

describe("a call's RTCP", () =>
  it('ends with a BYE that still leaves when everything is closed', async () => {
    const rig = await BridgeRig.start(new ListeningAgent());
    const control = createSocket('udp4').bind(0, '127.0.0.1');
    await once(control, 'listening');
    const came = once(control, 'message') as Promise<[Buffer]>;
    await rig.started({ rtcp: { address: '127.0.0.1', port: control.address().port } });
    await rig.phone.receive(3);
    await rig.stop();
    const [bytes] = await came;
    control.close();
    const ssrc = rig.phone.packets[0]?.packet.ssrc;
    const read = readRtcp(bytes);
    expect(read).toMatchObject({ ssrc, bye: true });
    expect(read?.sender?.packets).toBeGreaterThanOrEqual(rig.phone.packets.length);
    expect((await rig.event('closed')).stats.path?.rtcp).toMatchObject({ sent: 1, received: 0 });
  }));

describe.skipIf(!hasTshark())('RTCP as Wireshark reads it (skipped when tshark is not installed)', () =>
  it('is well formed in every part, from the first report to the BYE', async () => {
    const packets = reports();
    const fields = ['_ws.malformed', '_ws.expert.message', 'rtcp.length_check', 'rtcp.pt', 'rtcp.sdes.text'];
    const more = ['rtcp.timestamp.ntp.msw', 'rtcp.ssrc.fraction', 'rtcp.ssrc.cum_nr', 'rtcp.rc'];
    const read = await dissectRtcp(packets, [...fields, ...more]);
    expect(packets.length).toBeGreaterThan(3);
    expect(read).toHaveLength(packets.length);
    for (const [malformed, expert, lengthCheck] of read) {
      expect([malformed, expert]).toEqual(['', '']);
      expect(lengthCheck).toMatch(/^(1|True)$/);
    }
    const types = read.map(([, , , packetTypes]) => packetTypes);
    expect([types[0], types.at(-1)]).toEqual(['200,202', '201,202,203']);
    for (const [, , , , cname] of read) expect(cname).toBe('c29tZW9uZQ==');
    expect(read[0]?.slice(5)).toEqual([String(2_208_988_800 + 1_767_323_047), '20', '10', '1']);
  }),
);

/** Of a session that hears nine packets of ten and sends for half a minute, but for its last report and the BYE. */
function reports(): Buffer[] {
  const options = { cname: 'c29tZW9uZQ==', ssrc: 7, clockRateHz: 8_000, random: () => 0.5 };
  const session = new RtcpSession({ nowMs: 0, wallMs: 1_767_323_045_250, ...options });
  const packet = Buffer.alloc(172);
  const sent: Buffer[] = [];
  session.start(0);
  for (let n = 0, nowMs = 0; nowMs < 45_000; n++, nowMs += 20) {
    if (nowMs < 30_000) {
      writeRtpHeader(packet, { payloadType: 0, marker: false, sequenceNumber: n, timestamp: n * 160, ssrc: 7 });
      session.onRtpSent(packet, nowMs);
    }
    const heard = { ...newRtpPacket(), ssrc: 8, sequenceNumber: n, timestamp: n * 160 };
    if (n % 10 !== 5 || nowMs > 2_000) session.onRtpReceived(heard, nowMs, true);
    const report = session.due(nowMs);
    if (report) sent.push(report);
  }
  const last = session.end(45_000);
  return last ? [...sent, last] : sent;
}
