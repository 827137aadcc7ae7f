import { describe, expect, it } from 'vitest';
import type { BridgeStats, DownlinkStats, PathStats, UplinkStats } from '../../../src/bridge/stats.js';
import { verdictOf } from '../../../src/records/verdict.js';
import { bridgeStats, without } from './bridge-stats.js';

const REMOTE = { address: '198.51.100.9', port: 4_000 };
const PRIVATE = { address: '10.1.2.3', port: 4_000 };
const STRANGER = { address: '192.0.2.66', port: 9 };

interface Changes {
  path?: Partial<PathStats>;
  uplink?: Partial<UplinkStats>;
  downlink?: Partial<DownlinkStats>;
  remote?: BridgeStats['remote'];
}

/** Of a minute that went well, but for the changes. */
function verdict({ path = {}, uplink = {}, downlink = {}, ...rest }: Changes = {}): string | undefined {
  const stats = bridgeStats({ path: { described: REMOTE, ...path }, uplink, downlink, remote: REMOTE });
  return verdictOf('remote' in rest ? withRemote(stats, rest.remote) : stats, '198.51.100.1');
}

function withRemote(stats: BridgeStats, remote: BridgeStats['remote']): BridgeStats {
  return remote ? { ...stats, remote } : without(stats, 'remote');
}

const NOTHING_CAME = { uplink: { packets: 0 }, remote: undefined } as const;

describe('the verdict', () => {
  it('is only given of a call that was answered', () => {
    expect(verdict({ path: { activeMs: 0 } })).toBeUndefined();
    expect(verdictOf(without(bridgeStats(), 'path'))).toBeUndefined();
  });

  it.each<[string, Changes]>([
    ['two-way audio', {}],
    ["two-way audio; 30 s of the agent's speech found no room in the queue", { downlink: { overflowedMs: 30_000 } }],
    [
      'no RTP from the caller: the SDP said 198.51.100.9:4000, nothing arrived in 4 s',
      { ...NOTHING_CAME, path: { activeMs: 4_000, receivingMs: 4_000, sendingMs: 4_000 } },
    ],
    [
      'no RTP from the caller: the SDP said 10.1.2.3:4000, private while its SIP came from 198.51.100.1, nothing arrived in 60 s',
      { ...NOTHING_CAME, path: { described: PRIVATE } },
    ],
    [
      'no RTP from the caller: RTP from 192.0.2.66:9 in payload type 18, which was not agreed on, refused',
      { ...NOTHING_CAME, path: { refused: { source: STRANGER, payloadType: 18 } } },
    ],
    [
      'no RTP from the caller: RTP from 198.51.100.9:4000 in payload type 18, which was not agreed on, refused',
      { uplink: { packets: 9 }, path: { foreignPayloads: 9, foreignPayloadType: 18 } },
    ],
    [
      "no RTP from the caller: RTP from another address than the SDP's, 192.0.2.66:9, refused",
      { ...NOTHING_CAME, path: { refused: { source: STRANGER } } },
    ],
    [
      'no RTP from the caller: what came was no RTP (7 datagrams)',
      { ...NOTHING_CAME, uplink: { packets: 0, malformed: 7 } },
    ],
    ['no RTP from the caller for the last 12 s', { path: { silentMs: 12_345 } }],
    ['two-way audio', { path: { silentMs: 400 } }],
    [
      'nothing from the caller: its SDP had the call on hold throughout',
      { path: { receivingMs: 0 }, uplink: { packets: 0 } },
    ],
    ['agent never spoke', { downlink: { receivedMs: 0, playedMs: 0 } }],
    ['caller never heard: its SDP had us on hold throughout', { path: { sendingMs: 0 } }],
    [
      'caller never heard: RTP could not be sent to 198.51.100.9:4000 (EHOSTUNREACH)',
      { downlink: { packets: 3_000, sendErrors: 2_999 }, path: { sendError: 'EHOSTUNREACH' } },
    ],
    ['two-way audio', { downlink: { sendErrors: 100 }, path: { sendError: 'ENOBUFS' } }],
    [
      'caller never heard: its RTCP reports that the RTP sent to 198.51.100.9:4000 did not arrive',
      { path: { rtcp: { ...bridgeStats().path.rtcp, reported: { lost: 2_990, fractionLost: 1, jitterMs: 0 } } } },
    ],
    ['caller never heard: all the agent said was interrupted', { downlink: { playedMs: 0, discardedMs: 900 } }],
    [
      'caller never heard: the agent spoke, but none of it has been played',
      { downlink: { playedMs: 0, queuedMs: 900 } },
    ],
    [
      "two-way audio; the caller's RTP came from 198.51.100.9:4000, not from 10.1.2.3:4000 as its SDP said",
      { path: { described: PRIVATE } },
    ],
    ['two-way audio; on hold for 12 s', { path: { sendingMs: 48_000, receivingMs: 50_000 } }],
    ['two-way audio; RTP from another address, 192.0.2.66:9, refused', { path: { refused: { source: STRANGER } } }],
    [
      'no RTP from the caller: the SDP said 198.51.100.9:4000, nothing arrived in 60 s; agent never spoke',
      { ...NOTHING_CAME, downlink: { receivedMs: 0, playedMs: 0 } },
    ],
  ])('is: %s', (expected, changes) => expect(verdict(changes)).toBe(expected));

  it('says so when the SDP gave no address', () => {
    const stats = bridgeStats({
      uplink: { packets: 0 },
      downlink: { packets: 0 },
      path: { unaddressed: 125, activeMs: 2_500, sendingMs: 2_500, receivingMs: 2_500 },
    });
    const path = without(stats.path, 'described');
    expect(verdictOf({ ...without(stats, 'remote'), path })).toBe(
      'no RTP from the caller: the SDP gave no address, nothing arrived in 2.5 s; ' +
        'caller never heard: its SDP gave no address to send to, and no RTP came to show one',
    );
  });

  it('takes an IPv4 address on a socket for both versions for what it is', () => {
    expect(verdict({ remote: { address: '::ffff:198.51.100.9', port: 4_000 } })).toBe('two-way audio');
    expect(verdict({ remote: { address: '2001:db8::1', port: 4_000 } })).toContain('from [2001:db8::1]:4000, not from');
  });
});
