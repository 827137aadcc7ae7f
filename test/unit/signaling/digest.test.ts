import { describe, expect, it } from 'vitest';
import { parseAuthElements, quoted } from '../../../src/signaling/auth/auth-params.js';
import {
  digestHa1,
  digestResponse,
  formatAnswer,
  formatChallenge,
  parseAnswer,
  parseChallenges,
  strongestChallenge,
} from '../../../src/signaling/auth/digest.js';

describe('digestResponse', () => {
  // RFC 7616 section 3.9.1.
  const rfc7616 = {
    method: 'GET',
    uri: '/dir/index.html',
    nonce: '7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v',
    count: { nc: '00000001', cnonce: 'f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ' },
  };

  it.each([
    ['MD5', '8ca523f5e9506fed4657c9700eebdbec'],
    ['SHA-256', '753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1'],
  ] as const)('is that of RFC 7616 3.9.1 with %s', (algorithm, response) => {
    const ha1 = digestHa1(algorithm, 'Mufasa', 'http-auth@example.org', 'Circle of Life');
    expect(digestResponse({ ...rfc7616, algorithm, ha1 })).toBe(response);
  });

  it('is that of RFC 2617 3.5', () => {
    const ha1 = digestHa1('MD5', 'Mufasa', 'testrealm@host.com', 'Circle Of Life');
    const nonce = 'dcd98b7102dd2f0e8b11d0f600bfb0c093';
    const count = { nc: '00000001', cnonce: '0a4f113b' };
    const input = { algorithm: 'MD5', ha1, method: 'GET', uri: '/dir/index.html', nonce } as const;
    expect(ha1).toBe('939e7578ed9e3c518a452acee763bce9');
    expect(digestResponse({ ...input, count })).toBe('6629fae49393a05397450978507c4ef1');
    // The same without qop, as RFC 2069 has it.
    expect(digestResponse(input)).toBe('670fd8c2df070c60b045671b8b24ff02');
  });
});

describe('parseChallenges', () => {
  it('reads what registrars send, careless ones as well', () => {
    const header =
      'Digest  realm="pbx \\"one\\"" , nonce=abc/de== ,opaque="", stale=TRUE,algorithm="md5", qop="auth-int, auth"';
    expect(parseChallenges(header)).toEqual([
      { realm: 'pbx "one"', nonce: 'abc/de==', opaque: '', algorithm: 'MD5', qop: true, stale: true },
    ]);
  });

  it('takes the strongest of several, however they are put together', () => {
    const header =
      'Basic realm="x", Digest realm="a", nonce="1",DIGEST realm="a", nonce="2", algorithm=SHA-256, qop="auth",' +
      'Digest realm="a", nonce="3", algorithm=SHA-256, Digest realm="a", nonce="4", algorithm=MD5-sess';
    const challenges = parseChallenges(header);
    expect(challenges.map(({ nonce }) => nonce)).toEqual(['1', '2', '3']);
    expect(strongestChallenge(challenges)).toMatchObject({ nonce: '2', algorithm: 'SHA-256', qop: true });
    expect(strongestChallenge([])).toBeUndefined();
  });

  it.each([
    '',
    'Digest',
    'Digest realm="a"',
    'Digest nonce="a"',
    'Digest realm="a, nonce="b"',
    'Digest realm="a", nonce="b", qop="auth-int"',
    'Digest realm="a", nonce="b", algorithm=SHA3',
    'Bearer realm="a", nonce="b"',
    'realm="a", nonce="b"',
  ])('finds nothing to answer in %j', (header) => expect(parseChallenges(header)).toEqual([]));

  it('writes what it reads', () => {
    const challenge = {
      realm: 'a "\\b',
      nonce: 'n',
      opaque: 'o',
      algorithm: 'SHA-256',
      qop: true,
      stale: true,
    } as const;
    expect(parseChallenges(formatChallenge(challenge))).toEqual([challenge]);
  });
});

describe('parseAnswer', () => {
  const answer = {
    user: 'al"ice\\',
    realm: 'r',
    nonce: 'n',
    uri: 'sip:pbx.example',
    algorithm: 'SHA-256',
    response: 'ab',
    count: { nc: '0000000a', cnonce: 'c' },
  } as const;

  it('reads what is written, in its realm alone', () => {
    const text = formatAnswer({ ...answer, opaque: 'o' });
    expect(text).toContain('qop=auth, nc=0000000a, cnonce="c"');
    expect(parseAnswer(text, 'r')).toEqual(answer);
    expect(parseAnswer(text, 'R')).toBeUndefined();
    expect(parseAnswer(`${formatAnswer({ ...answer, realm: 'other', user: 'bob' })},${text}`, 'r')).toEqual(answer);
  });

  it.each([
    ['no user', /username="[^,]*", /, ''],
    ['no response', /response="ab", /, ''],
    ['a count that is none', /nc=0000000a/, 'nc=1'],
    ['no cnonce', /, cnonce="c"/, ''],
    ['another qop', /qop=auth/, 'qop=auth-int'],
    ['another algorithm', /SHA-256/, 'SHA-1'],
  ])('takes none with %s', (_, pattern, replacement) =>
    expect(parseAnswer(formatAnswer({ ...answer, user: 'u' }).replace(pattern, replacement), 'r')).toBeUndefined(),
  );
});

describe('parseAuthElements', () => {
  it('bounds what it keeps, and the time it takes', () => {
    expect(parseAuthElements('Digest a=1, '.repeat(100))).toHaveLength(8);
    const many = Array.from({ length: 100 }, (_, index) => `p${index}=1`).join(',');
    expect(parseAuthElements(`Digest ${many}`)[0]?.params.size).toBe(24);
    for (const hostile of ['"', '\\"', 'a ', ', ', 'a="', '\t', '=', 'a=b=']) {
      const elements = parseAuthElements(`Digest realm="${hostile.repeat(30_000)}`);
      expect(elements.length).toBeLessThanOrEqual(8);
    }
  });

  it('stops at a parameter that is there twice', () => {
    const [element] = parseAuthElements('Digest a="1", a="2", b="3"');
    expect([...(element?.params ?? [])]).toEqual([['a', '1']]);
  });

  it('quotes what has to be', () => expect(quoted('a"b\\c')).toBe('"a\\"b\\\\c"'));
});
