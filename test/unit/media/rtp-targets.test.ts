import { describe, expect, it } from 'vitest';
import { EmbeddedMediaEngine } from '../../../src/media/embedded.js';
import { RtpTargets, type InterfaceAddress } from '../../../src/media/rtp-targets.js';
import { SdpError } from '../../../src/media/sdp.js';

const PBX = '192.0.2.7';
const INTERFACES: InterfaceAddress[] = [
  { address: '127.0.0.1', cidr: '127.0.0.1/8' },
  { address: '192.168.7.2', cidr: '192.168.7.2/24' },
  { address: '2001:db8::2', cidr: '2001:db8::2/64' },
  { address: 'fe80::2', cidr: 'fe80::2/64' },
];
const ADVERTISED = '203.0.113.50';

const targetsOf = (bind: string): RtpTargets =>
  new RtpTargets({
    own: [
      { what: 'media.ports', bind, advertised: [ADVERTISED], min: 20_000, max: 29_999 },
      { what: 'sip.listen', bind, advertised: [ADVERTISED], min: 5060, max: 5060 },
    ],
    interfaces: () => INTERFACES,
  });

const faultOf = (address: string, port: number, peer = PBX, bind = '0.0.0.0'): string | undefined => {
  try {
    targetsOf(bind).check({ remote: { address, port } }, peer);
    return undefined;
  } catch (error) {
    expect(error).toBeInstanceOf(SdpError);
    return (error as Error).message;
  }
};

describe('RtpTargets', () => {
  it.each([
    ['224.0.0.251', /multicast/],
    ['239.255.255.250', /multicast/],
    ['255.255.255.255', /broadcast/],
    ['192.168.7.255', /broadcast/],
    ['240.0.0.1', /reserved/],
    ['0.0.0.1', /no host's address/],
    ['ff02::1', /multicast/],
    ['::ffff:224.0.0.1', /multicast/],
    ['::ffff:0.0.0.0', /no host's address/],
    ['::ffff:ffff:ffff', /broadcast/],
    ['64:ff9b::e000:1', /multicast/],
    ['::224.0.0.1', /multicast/],
    ['127.0.0.1', /loopback/],
    ['127.9.9.9', /loopback/],
    ['::1', /loopback/],
    ['::ffff:127.0.0.1', /loopback/],
    ['64:ff9b::7f00:1', /loopback/],
    ['169.254.169.254', /link-local/],
    ['fe80::1', /link-local/],
    ['fe80::1%eth0', /link-local/],
    ['::ffff:169.254.169.254', /link-local/],
  ])('sends nothing to %s', (address, why) => {
    expect(faultOf(address, 4000)).toMatch(why);
    expect(faultOf(address, 9)).toMatch(why);
  });

  it.each(['192.0.2.7', '10.0.0.1', '100.64.0.1', '203.0.113.9', '192.168.7.254', '2001:db8::7', 'fd00::1'])(
    'sends to %s',
    (address) => expect(faultOf(address, 4000)).toBeUndefined(),
  );

  it('sends to this machine and its link for those who are there', () => {
    for (const peer of ['127.0.0.1', '::1', '::ffff:127.0.0.1', '192.168.7.2']) {
      expect(faultOf('127.0.0.5', 4000, peer)).toBeUndefined();
      expect(faultOf('::1', 4000, peer)).toBeUndefined();
    }
    for (const peer of ['169.254.7.7', 'fe80::9%eth0', '192.168.7.2']) {
      expect(faultOf('169.254.1.1', 4000, peer)).toBeUndefined();
      expect(faultOf('fe80::1', 4000, peer)).toBeUndefined();
    }
    expect(faultOf('127.0.0.5', 4000, 'fe80::9')).toMatch(/loopback/);
    expect(faultOf('127.0.0.5', 4000, '')).toMatch(/loopback/);
  });

  it('sends to no port of other services; port 9 says that the port is not known', () => {
    expect(faultOf(PBX, 53)).toMatch(/below 1024/);
    expect(faultOf(PBX, 1023)).toMatch(/below 1024/);
    expect(faultOf(PBX, 1024)).toBeUndefined();
    expect(faultOf(PBX, 9)).toBeUndefined();
  });

  it('sends nothing to itself, by whatever address', () => {
    for (const address of [
      '192.168.7.2',
      '127.0.0.1',
      '127.0.0.9',
      '2001:db8:0::2',
      '::ffff:192.168.7.2',
      ADVERTISED,
    ]) {
      expect(faultOf(address, 20_000, '127.0.0.1')).toMatch(/this bridge itself \(media.ports\)/);
      expect(faultOf(address, 29_999, '127.0.0.1')).toMatch(/this bridge itself/);
      expect(faultOf(address, 5060, '127.0.0.1')).toMatch(/this bridge itself \(sip.listen\)/);
      expect(faultOf(address, 30_000, '127.0.0.1')).toBeUndefined();
    }
  });

  it('knows what is not itself where it is bound to one address', () => {
    expect(faultOf('192.168.7.2', 20_000, PBX, '192.168.7.2')).toMatch(/this bridge itself/);
    expect(faultOf('127.0.0.1', 20_000, '127.0.0.1', '192.168.7.2')).toBeUndefined();
    expect(faultOf('192.0.2.9', 20_000, PBX, '192.168.7.2')).toBeUndefined();
  });

  it('holds RTCP to the same', () => {
    const check = (rtcp: { address: string; port: number } | 'mux'): void =>
      targetsOf('0.0.0.0').check({ remote: { address: PBX, port: 4000 }, rtcp }, PBX);
    expect(() => check({ address: '224.0.0.1', port: 4001 })).toThrow(
      'no RTCP to 224.0.0.1 port 4001: it is a multicast address',
    );
    expect(() => check({ address: PBX, port: 53 })).toThrow(/below 1024/);
    expect(() => check('mux')).not.toThrow();
    expect(() => check({ address: PBX, port: 4099 })).not.toThrow();
  });
});

describe('EmbeddedMediaEngine, with RtpTargets', () => {
  const offer = (address: string, port = 4000, ...lines: string[]): string =>
    [
      'v=0',
      'o=- 1 1 IN IP4 192.0.2.7',
      's=-',
      `c=IN IP4 ${address}`,
      't=0 0',
      `m=audio ${port} RTP/AVP 0`,
      ...lines,
      '',
    ].join('\r\n');
  const engine = new EmbeddedMediaEngine({ codecs: ['PCMU'], bind: '0.0.0.0', targets: targetsOf('0.0.0.0') });

  it('refuses an INVITE whose RTP is wanted elsewhere than at a telephone', () => {
    expect(() => engine.accept(offer('224.0.0.251/127'), PBX)).toThrow(/multicast/);
    expect(() => engine.accept(offer('127.0.0.1'), PBX)).toThrow(/loopback/);
    expect(() => engine.accept(offer('127.0.0.1'), '127.0.0.1')).not.toThrow();
    expect(() => engine.accept(offer(PBX, 4000, 'a=rtcp:22 IN IP4 192.0.2.7'), PBX)).toThrow(/below 1024/);
    expect(() => engine.accept(offer(PBX, 4000, 'a=rtcp:9 IN IP4 0.0.0.0'), PBX)).not.toThrow();
  });

  it('still takes 0.0.0.0 for a hold, and a host name for an address that RTP will show', async () => {
    const held = await engine.accept(offer('0.0.0.0'), PBX).connect(20_000, '192.168.7.2');
    expect(held.media).toMatchObject({ sending: false, receiving: false, peer: PBX });
    const named = await engine.accept(offer('pbx.example.com'), PBX).connect(20_000, '192.168.7.2');
    expect(named.media).toMatchObject({ sending: true });
    expect(named.media).not.toHaveProperty('remote');
  });

  it('refuses it in a re-INVITE and in an answer, and the leg stays as it was', async () => {
    const leg = await engine.accept(offer(PBX), PBX).connect(20_000, '192.168.7.2');
    const { media, localSdp } = leg;
    await expect(leg.renegotiate(offer('192.168.7.2', 20_000))).rejects.toThrow(/this bridge itself/);
    leg.reoffer();
    await expect(leg.acceptAnswer(offer('240.0.0.1'))).rejects.toThrow(SdpError);
    expect(leg.media).toEqual(media);
    expect(localSdp).toContain('m=audio 20000');
  });
});
