import { describe, expect, it } from 'vitest';
import { DialogPeers } from '../../../src/sip-agent/dialog/dialog-peers.js';

function peersOf(...uris: string[]): DialogPeers {
  const peers = new DialogPeers();
  for (const uri of uris) peers.addUri(uri);
  return peers;
}

describe('the peers of a dialog', () => {
  it.each([
    ['192.0.2.1', '192.0.2.1'],
    ['192.0.2.1', '::ffff:192.0.2.1'],
    ['::ffff:192.0.2.1', '192.0.2.1'],
    ['::FFFF:C000:0201', '192.0.2.1'],
    ['2001:db8::1', '2001:DB8:0:0:0:0:0:1'],
    ['fe80::1%eth0', 'fe80::1'],
  ])('are known by any spelling of their address: %s, %s', (added, asked) => {
    const peers = new DialogPeers();
    peers.add(added);
    expect([peers.has(asked), peers.has('192.0.2.2'), peers.has('2001:db8::2')]).toEqual([true, false, false]);
  });

  it('are taken from URIs, where a maddr comes before the host', () => {
    const peers = peersOf(
      'sip:a@192.0.2.1:5080;transport=tcp',
      'sips:[2001:db8::1]',
      'sip:x.test;maddr=192.0.2.3',
      'x:y',
    );
    expect(['192.0.2.1', '2001:db8::1', '192.0.2.3'].map((each) => peers.has(each))).toEqual([true, true, true]);
    expect(peers.hasNames).toBe(false);
  });

  it('are looked up once, by name, however many ask', async () => {
    const peers = peersOf('sip:a@phone.test', 'sip:proxy.test;lr', 'sip:a@phone.test');
    const asked: string[] = [];
    const find = (uri: string): Promise<string[]> => {
      asked.push(uri);
      return Promise.resolve(uri.includes('phone') ? ['192.0.2.1', '2001:db8::1'] : []);
    };
    await Promise.all([peers.lookUp(find), peers.lookUp(find)]);
    expect(asked).toEqual(['sip:a@phone.test', 'sip:proxy.test;lr']);
    expect([peers.has('192.0.2.1'), peers.has('2001:db8::1'), peers.hasNames]).toEqual([true, true, false]);
  });

  it('are so many and no more, the one longest unused going first', () => {
    const peers = new DialogPeers();
    peers.add('not an address');
    for (let n = 0; n < 100; n++) {
      peers.add(`192.0.2.${n}`);
      peers.add('198.51.100.1');
    }
    const known = Array.from({ length: 100 }, (_, n) => n).filter((n) => peers.has(`192.0.2.${n}`));
    expect(known).toEqual(Array.from({ length: 15 }, (_, n) => 85 + n));
    expect(peers.has('198.51.100.1')).toBe(true);
  });
});
