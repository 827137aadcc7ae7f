import { describe, expect, it } from 'vitest';
import { DigestClient, type ChallengingResponse } from '../../../src/signaling/auth/digest-client.js';
import { digestHa1, digestResponse, parseAnswer } from '../../../src/signaling/auth/digest.js';

const REQUEST = { method: 'REGISTER', uri: 'sip:pbx.example' };

interface Ask {
  readonly status?: 401 | 407;
  readonly nonce: string;
  readonly stale?: boolean;
  readonly params?: string;
}

const OK: ChallengingResponse = { status: 200, get: () => undefined };

function challenge({ status = 401, nonce, stale = false, params = ', qop="auth"' }: Ask): ChallengingResponse {
  const wanted = status === 401 ? 'WWW-Authenticate' : 'Proxy-Authenticate';
  const value = `Digest realm="r${status}", nonce="${nonce}"${stale ? ', stale=true' : ''}${params}`;
  return { status, get: (name) => (name === wanted ? value : undefined) };
}

/** Answers with each response in turn, and keeps what was sent. */
class Peer {
  readonly sent: Record<string, string>[] = [];
  readonly #responses: ChallengingResponse[];

  constructor(...responses: ChallengingResponse[]) {
    this.#responses = responses;
  }

  readonly send = (headers: Record<string, string>): Promise<ChallengingResponse> => {
    this.sent.push(headers);
    const response = this.#responses[this.sent.length - 1];
    return response ? Promise.resolve(response) : Promise.reject(new Error('asked too often'));
  };
}

function client(): DigestClient {
  let count = 0;
  return new DigestClient({ user: 'alice', password: 'secret' }, { newCnonce: () => `cnonce${++count}` });
}

describe('DigestClient', () => {
  it('sends nothing before it is asked, and the right answer then', async () => {
    const peer = new Peer(challenge({ nonce: 'n1', params: ', qop="auth", opaque="op"' }), OK);
    const result = await client().request(REQUEST, peer.send);
    expect(result).toEqual({ response: OK });
    expect(peer.sent[0]).toEqual({});
    expect(Object.keys(peer.sent[1] ?? {})).toEqual(['Authorization']);
    const header = peer.sent[1]?.['Authorization'] ?? '';
    expect(header).toContain('opaque="op"');
    const ha1 = digestHa1('MD5', 'alice', 'r401', 'secret');
    const count = { nc: '00000001', cnonce: 'cnonce1' };
    expect(parseAnswer(header, 'r401')).toEqual({
      ...{ user: 'alice', realm: 'r401', nonce: 'n1', uri: REQUEST.uri, algorithm: 'MD5', count },
      response: digestResponse({ ...REQUEST, algorithm: 'MD5', ha1, nonce: 'n1', count }),
    });
  });

  it('shows its credentials at once from then on, and counts', async () => {
    const peer = new Peer(challenge({ nonce: 'n1' }), OK, OK);
    const digest = client();
    await digest.request(REQUEST, peer.send);
    await digest.request({ ...REQUEST, method: 'OPTIONS' }, peer.send);
    expect(peer.sent).toHaveLength(3);
    expect(parseAnswer(peer.sent[2]?.['Authorization'] ?? '', 'r401')?.count?.nc).toBe('00000002');
  });

  it('answers a proxy and the one behind it', async () => {
    const peer = new Peer(challenge({ status: 407, nonce: 'p' }), challenge({ nonce: 'w' }), OK);
    await expect(client().request(REQUEST, peer.send)).resolves.toEqual({ response: OK });
    expect(peer.sent.map((headers) => Object.keys(headers))).toEqual([
      [],
      ['Proxy-Authorization'],
      ['Authorization', 'Proxy-Authorization'],
    ]);
    expect(parseAnswer(peer.sent[2]?.['Proxy-Authorization'] ?? '', 'r407')?.count?.nc).toBe('00000002');
  });

  it('leaves out the count where there is no qop', async () => {
    const peer = new Peer(challenge({ nonce: 'n', params: '' }), OK);
    await client().request(REQUEST, peer.send);
    expect(parseAnswer(peer.sent[1]?.['Authorization'] ?? '', 'r401')).not.toHaveProperty('count');
  });

  it('takes a new nonce when the one it kept is refused, whether it is called stale or not', async () => {
    const peer = new Peer(challenge({ nonce: 'n1' }), OK, challenge({ nonce: 'n2' }), OK);
    const digest = client();
    await digest.request(REQUEST, peer.send);
    await expect(digest.request(REQUEST, peer.send)).resolves.toEqual({ response: OK });
    expect(parseAnswer(peer.sent[3]?.['Authorization'] ?? '', 'r401')).toMatchObject({
      nonce: 'n2',
      count: { nc: '00000001' },
    });
  });

  it('goes on when a fresh nonce has become stale on the way', async () => {
    const peer = new Peer(challenge({ nonce: 'n1' }), challenge({ nonce: 'n2', stale: true }), OK);
    await expect(client().request(REQUEST, peer.send)).resolves.toEqual({ response: OK });
  });

  it('gives up when the password is wrong, and begins without credentials the next time', async () => {
    const refusal = challenge({ nonce: 'n2' });
    const peer = new Peer(challenge({ nonce: 'n1' }), refusal, challenge({ nonce: 'n3' }), OK);
    const digest = client();
    await expect(digest.request(REQUEST, peer.send)).resolves.toEqual({ response: refusal, refused: 'credentials' });
    await digest.request(REQUEST, peer.send);
    expect(peer.sent[2]).toEqual({});
  });

  it('does not go on for ever with one who finds everything stale', async () => {
    const stale = Array.from({ length: 9 }, (_, index) => challenge({ nonce: `n${index}`, stale: true }));
    const peer = new Peer(...stale);
    await expect(client().request(REQUEST, peer.send)).resolves.toMatchObject({ refused: 'credentials' });
    expect(peer.sent).toHaveLength(5);
  });

  it('says so when it cannot answer', async () => {
    const peer = new Peer(challenge({ nonce: 'n', params: ', algorithm=SHA-1' }));
    await expect(client().request(REQUEST, peer.send)).resolves.toMatchObject({ refused: 'challenge' });
    expect(peer.sent).toHaveLength(1);
  });
});

const MD5_QOP = ', qop="auth"';
const MD5_BARE = '';
const SHA_QOP = ', algorithm=SHA-256, qop="auth"';
const SHA_BARE = ', algorithm=SHA-256';
const TABLE: [string, string, string, boolean][] = [
  ['SHA-256 to MD5', SHA_QOP, MD5_QOP, false],
  ['SHA-256 to MD5 without qop', SHA_QOP, MD5_BARE, false],
  ['qop to none', MD5_QOP, MD5_BARE, false],
  ['qop with MD5 to SHA-256 without', MD5_QOP, SHA_BARE, false],
  ['no qop with SHA-256 to MD5 with it', SHA_BARE, MD5_QOP, false],
  ['the same', MD5_QOP, MD5_QOP, true],
  ['the same, without qop', MD5_BARE, MD5_BARE, true],
  ['MD5 to SHA-256', MD5_QOP, SHA_QOP, true],
];

describe('DigestClient that has been asked for something', () => {
  it.each(TABLE)('and then for another thing: %s', async (_, first, then, isAnswered) => {
    const answer = [challenge({ nonce: 'n1', params: first }), OK];
    const again = challenge({ nonce: 'n2', params: then });
    // By the same one later, with another realm, in a dialog, and as the same realm's proxy in a dialog.
    const peer = new Peer(...answer, again, OK);
    const digest = client();
    await digest.request(REQUEST, peer.send);
    const outcome = isAnswered ? { response: OK } : { response: again, refused: 'weaker' };
    expect(await digest.request(REQUEST, peer.send)).toEqual(outcome);

    const renamed: ChallengingResponse = {
      status: 401,
      get: (name) => again.get(name)?.replace('realm="r401"', 'realm="renamed"'),
    };
    const other = client();
    await other.request(REQUEST, new Peer(...answer).send);
    const { refused } = await other.request(REQUEST, new Peer(renamed, OK).send);
    expect(refused).toBe(isAnswered ? undefined : 'weaker');

    const registered = client();
    await registered.request(REQUEST, new Peer(...answer).send);
    const proxied: ChallengingResponse = {
      status: 407,
      get: (name) => (name === 'Proxy-Authenticate' ? again.get('WWW-Authenticate') : undefined),
    };
    for (const asked of [again, proxied]) {
      const dialog = registered.forDialog();
      const in_ = await dialog?.request({ ...REQUEST, method: 'BYE' }, new Peer(asked, OK).send);
      expect(in_?.refused).toBe(isAnswered ? undefined : 'weaker');
    }
  });

  it('is not talked down within one exchange either', async () => {
    const weak = challenge({ nonce: 'n2', stale: true, params: MD5_BARE });
    const peer = new Peer(challenge({ nonce: 'n1', params: SHA_QOP }), weak);
    await expect(client().request(REQUEST, peer.send)).resolves.toEqual({ response: weak, refused: 'weaker' });
    expect(peer.sent).toHaveLength(2);
  });

  it('takes the strong one of several', async () => {
    const several: ChallengingResponse = {
      status: 401,
      get: (name) =>
        name === 'WWW-Authenticate'
          ? 'Digest realm="r", nonce="a", Digest realm="r", nonce="b", qop="auth", Digest realm="r", nonce="c", algorithm=SHA-256, Digest realm="r", nonce="d", algorithm=SHA-256, qop="auth"'
          : undefined,
    };
    const peer = new Peer(several, OK, several, OK);
    const digest = client();
    for (let asked = 0; asked < 2; asked++) {
      await digest.request(REQUEST, peer.send);
      expect(parseAnswer(peer.sent.at(-1)?.['Authorization'] ?? '', 'r')).toMatchObject({ nonce: 'd' });
    }
  });

  it('asks the same of nobody but who has asked for it', async () => {
    const digest = client();
    await digest.request(REQUEST, new Peer(challenge({ nonce: 'n1', params: SHA_QOP }), OK).send);
    // A proxy on the way knows no more than MD5.
    const proxy = challenge({ status: 407, nonce: 'p', params: MD5_BARE });
    await expect(digest.request(REQUEST, new Peer(proxy, OK).send)).resolves.toEqual({ response: OK });
  });

  it('learns nothing from a dialog that a registrar could fail at', async () => {
    const digest = client();
    await digest.request(REQUEST, new Peer(challenge({ nonce: 'n1', params: MD5_BARE }), OK).send);
    await digest.forDialog()?.request(REQUEST, new Peer(challenge({ nonce: 'x', params: SHA_QOP }), OK).send);
    const peer = new Peer(challenge({ nonce: 'n2', params: MD5_BARE }), OK);
    await expect(digest.request(REQUEST, peer.send)).resolves.toEqual({ response: OK });
  });
});
