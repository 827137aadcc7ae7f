import { describe, expect, it } from 'vitest';
import { DigestClient, type ChallengingResponse } from '../../../src/signaling/digest-client.js';
import { digestHa1, digestResponse, parseAnswer } from '../../../src/signaling/digest.js';

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
  return new DigestClient({ user: 'alice', password: 'secret' }, () => `cnonce${++count}`);
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
