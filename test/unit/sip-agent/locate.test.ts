import type { NaptrRecord, SrvRecord } from 'node:dns';
import { describe, expect, test } from 'vitest';
import { locate, orderServers, UnknownHostError, type LocateOptions } from '../../../src/sip-agent/transport/locate.js';
import { targetOf } from '../../../src/sip-agent/transport/target.js';

const ALL = ['udp', 'tcp', 'tls'] as const;
const nothing = (): Promise<never> => Promise.reject(new Error('ENOTFOUND'));

interface Zone {
  readonly naptr?: Readonly<Record<string, readonly NaptrRecord[]>>;
  readonly srv?: Readonly<Record<string, readonly SrvRecord[]>>;
  readonly addresses?: Readonly<Record<string, readonly string[]>>;
}

function knowing(zone: Zone, protocols: LocateOptions['protocols'] = ALL): LocateOptions {
  const find =
    <T>(records: Readonly<Record<string, readonly T[]>> = {}) =>
    (name: string) =>
      records[name] ? Promise.resolve(records[name]) : nothing();
  const names = { naptr: find(zone.naptr), srv: find(zone.srv), addresses: find(zone.addresses) };
  return { names, protocols, random: () => 0 };
}

/** `protocol address:port`, in order. */
async function hops(uri: string, options: LocateOptions): Promise<string[]> {
  const found = await locate(targetOf(uri), options);
  return found.map(({ protocol, address, port }) => `${protocol} ${address}:${port}`);
}

const server = (name: string, priority = 0, weight = 0, port = 5070): SrvRecord => ({ name, priority, weight, port });
const naptr = (service: string, replacement: string, order = 0, flags = 's'): NaptrRecord => ({
  ...{ service, replacement, order, flags },
  preference: 0,
  regexp: '',
});

describe('targetOf', () => {
  test.each([
    ['sip:a@b', { host: 'b' }],
    ['sip:a@b:5080;transport=TCP', { host: 'b', port: 5080, protocol: 'tcp' }],
    ['sip:a@b;transport=tls', { host: 'b', protocol: 'tls' }],
    ['sips:a@b', { host: 'b', protocol: 'tls' }],
    ['sips:a@b;transport=tcp', { host: 'b', protocol: 'tls' }],
    ['sip:a@b;maddr=192.0.2.1', { host: '192.0.2.1' }],
    ['sip:a@[2001:db8::1]:5062', { host: '2001:db8::1', port: 5062 }],
  ])('%s', (uri, target) => expect(targetOf(uri)).toEqual(target));

  test.each(['sips:a@b;transport=udp', 'sip:a@b;transport=sctp', 'sips:a@b;transport=ws'])(
    '%s is out of reach',
    (uri) => expect(() => targetOf(uri)).toThrow(),
  );
});

describe('locate', () => {
  const addresses = { 'pbx.test': ['192.0.2.1', '2001:db8::1'] };

  test.each([
    ['sip:192.0.2.9', ['udp 192.0.2.9:5060']],
    ['sip:[2001:db8::9]:5070;transport=tcp', ['tcp 2001:db8::9:5070']],
    ['sips:192.0.2.9', ['tls 192.0.2.9:5061']],
    ['sip:pbx.test:5080', ['udp 192.0.2.1:5080', 'udp 2001:db8::1:5080']],
    ['sip:pbx.test', ['udp 192.0.2.1:5060', 'udp 2001:db8::1:5060']],
    ['sips:pbx.test', ['tls 192.0.2.1:5061', 'tls 2001:db8::1:5061']],
  ])('%s without a word of DNS but addresses', async (uri, expected) => {
    expect(await hops(uri, knowing({ addresses }))).toEqual(expected);
  });

  test('takes TCP for what has no UDP', async () => {
    expect(await hops('sip:192.0.2.9', knowing({}, ['tcp', 'tls']))).toEqual(['tcp 192.0.2.9:5060']);
    expect(await hops('sip:192.0.2.9', knowing({}, ['tls']))).toEqual(['tls 192.0.2.9:5061']);
  });

  test('prefers the services a domain names, in its order, to those it might have', async () => {
    const srv = {
      'a.test': [server('one.test', 0, 0, 5071)],
      'b.test': [server('192.0.2.2', 0, 0, 5072)],
      '_sip._udp.pbx.test': [server('192.0.2.3')],
    };
    const zone = { srv, addresses: { 'one.test': ['192.0.2.1'] } };
    const services = [naptr('SIP+D2T', 'b.test', 20), naptr('SIPS+D2T', 'a.test', 10), naptr('SIP+D2S', 'c.test', 5)];
    const named = knowing({ ...zone, naptr: { 'pbx.test': services } });
    expect(await hops('sip:pbx.test', named)).toEqual(['tls 192.0.2.1:5071', 'tcp 192.0.2.2:5072']);
    expect(await hops('sip:pbx.test', knowing(zone))).toEqual(['udp 192.0.2.3:5070']);
    expect(await hops('sip:pbx.test:5060', knowing({ ...zone, addresses }))).toHaveLength(2);
  });

  test('keeps a sips URI to TLS', async () => {
    const srv = {
      '_sips._tcp.pbx.test': [server('192.0.2.1', 0, 0, 5071)],
      '_sip._udp.pbx.test': [server('192.0.2.2')],
    };
    const services = [naptr('SIP+D2U', '_sip._udp.pbx.test')];
    const options = knowing({ srv, naptr: { 'pbx.test': services } });
    expect(await hops('sips:pbx.test', options)).toEqual(['tls 192.0.2.1:5071']);
  });

  test('names the domain for the certificate, whatever its servers are called', async () => {
    const srv = { '_sips._tcp.pbx.test': [server('one.test')] };
    const found = await locate(targetOf('sips:pbx.test'), knowing({ srv, addresses: { 'one.test': ['192.0.2.1'] } }));
    expect(found).toEqual([{ protocol: 'tls', address: '192.0.2.1', port: 5070, name: 'pbx.test' }]);
  });

  test.each<[string, Zone]>([
    ['nothing', {}],
    ['servers without an address', { srv: { '_sip._udp.pbx.test': [server('one.test')] }, addresses }],
    ['that there is none', { srv: { '_sip._udp.pbx.test': [server('')] }, addresses }],
    ['a port nobody can have', { srv: { '_sip._udp.pbx.test': [server('192.0.2.1', 0, 0, 0)] }, addresses }],
    ['a port out of range', { srv: { '_sip._udp.pbx.test': [server('192.0.2.1', 0, 0, 70_000)] }, addresses }],
    ['a name that is none', { srv: { '_sip._udp.pbx.test': [server('a b\r\nc')] }, addresses }],
    ['an address that is none', { addresses: { 'pbx.test': ['<script>'] } }],
  ])('finds nobody where DNS knows %s', async (_, zone) => {
    await expect(hops('sip:pbx.test', knowing(zone))).rejects.toBeInstanceOf(UnknownHostError);
  });

  test('does without NAPTR that leads elsewhere than to SRV', async () => {
    const services = [naptr('SIP+D2T', 'a.test', 0, 'u'), naptr('SIP+D2T', 'x y'), naptr('E2U+sip', 'a.test')];
    const options = knowing({ naptr: { 'pbx.test': services }, addresses });
    expect(await hops('sip:pbx.test', options)).toEqual(['udp 192.0.2.1:5060', 'udp 2001:db8::1:5060']);
  });

  test('takes no more of an answer than it can use', async () => {
    const many = Array.from({ length: 5_000 }, (_, n) => server(`10.0.${n >> 8}.${n & 255}`, n));
    const options = knowing({ srv: { '_sip._udp.pbx.test': many } });
    expect(await hops('sip:pbx.test;transport=udp', options)).toHaveLength(8);
  });
});

describe('orderServers', () => {
  const names = (records: readonly SrvRecord[], random: () => number): string[] =>
    orderServers(records, random).map(({ name }) => name);

  test('goes by priority', () => {
    const records = [server('c', 30, 9), server('a', 10, 0), server('b', 20, 1)];
    for (const mark of [0, 0.5, 0.999]) expect(names(records, () => mark)).toEqual(['a', 'b', 'c']);
  });

  test('draws by weight', () => {
    const records = [server('heavy', 0, 3), server('light', 0, 1)];
    const firsts = Array.from({ length: 1_000 }, (_, n) => names(records, () => n / 1_000)[0]);
    // RFC 2782 draws from 0 to the sum, both included: 0 and 1 are the light one's.
    expect(firsts.filter((name) => name === 'heavy')).toHaveLength(600);
  });

  test('lets a weight of nothing be drawn once in a while', () => {
    const records = [server('some', 0, 10), server('none', 0, 0)];
    expect(names(records, () => 0)).toEqual(['none', 'some']);
    expect(names(records, () => 0.5)).toEqual(['some', 'none']);
  });
});
