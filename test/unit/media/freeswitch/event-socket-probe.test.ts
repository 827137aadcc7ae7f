import type { Socket } from 'node:net';
import { setImmediate as turn } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { askEventSocket } from '../../../../src/media/freeswitch/event-socket-probe.js';
import { EventSocketServer, type Script } from '../../../support/event-socket.js';
import { FakeClock } from '../../../support/fake-clock.js';
import { processorMsUntil } from '../../../support/processor-time.js';
import { seededRandom } from '../../../support/signal.js';

const GREETING = 'Content-Type: auth/request\n\n';
const ACCEPTED = 'Content-Type: command/reply\nReply-Text: +OK accepted\n\n';
const STATUS = 'drachtio_mrf\tprofile\tsip:mod_sofia@127.0.0.1:5080\tRUNNING (0)\n';
const answerOf = (body: string): string =>
  `Content-Type: api/response\nContent-Length: ${Buffer.byteLength(body)}\n\n${body}`;

const say =
  (text: string | Buffer) =>
  (socket: Socket): void => {
    socket.write(text);
  };
const nothing = (): void => undefined;

const MAX_BYTES = 256 * 1024;

describe('the probe of an event socket', () => {
  let clock: FakeClock;
  let server: EventSocketServer | undefined;

  beforeEach(() => {
    clock = new FakeClock();
    server = undefined;
  });

  afterEach(async () => {
    expect(clock.pendingTimers).toBe(0);
    await vi.waitFor(() => expect(server?.open ?? 0).toBe(0), { interval: 5 });
    await server?.close();
  });

  async function ask(...script: Script): Promise<{ body: string; localAddress: string }> {
    server = await EventSocketServer.listen(...script);
    return probe(server.port);
  }

  function probe(port: number, secret = 'ClueCon'): Promise<{ body: string; localAddress: string }> {
    return askEventSocket({ host: '127.0.0.1', port, secret }, 'sofia status', { clock, timeoutMs: 4_000 });
  }

  it('logs in, asks, and leaves with the answer and our address', async () => {
    const answer = await ask(say(GREETING), say(ACCEPTED), say(answerOf(STATUS)));
    expect(answer).toEqual({ body: STATUS, localAddress: '127.0.0.1' });
    expect(server?.commands).toEqual(['auth ClueCon', 'api sofia status']);
    expect(server?.connections).toBe(1);
  });

  it('reads it byte by byte', async () => {
    const drip =
      (text: string) =>
      (socket: Socket): void => {
        void (async () => {
          for (const byte of Buffer.from(text)) {
            socket.write(Buffer.of(byte));
            await turn();
          }
        })();
      };
    const answer = await ask(drip(GREETING), drip(ACCEPTED), drip(answerOf(STATUS)));
    expect(answer.body).toBe(STATUS);
  });

  it('reads several messages in one piece, and passes over what is none of its business', async () => {
    const event = 'Content-Length: 26\nContent-Type: text/event-plain\n\nEvent-Name: HEARTBEAT\nA: \n\n';
    const answer = await ask(say(`${event}${GREETING}`), say(`${ACCEPTED}${event}${answerOf(STATUS)}`));
    expect(answer.body).toBe(STATUS);
  });

  it('counts octets, not characters', async () => {
    const status = `Büro-Gateway ☎\n${STATUS}`;
    const { body } = await ask(say(GREETING), say(ACCEPTED), say(answerOf(status)));
    expect(Buffer.from(body, 'latin1').toString('utf8')).toBe(status);
  });

  it('takes headers in any case, and an answer without a body', async () => {
    const script = ['content-type:auth/request\n\n', 'CONTENT-TYPE:  command/reply\nREPLY-TEXT:  +OK\n\n'];
    const { body } = await ask(...script.map(say), say('Content-Type: api/response\n\n'));
    expect(body).toBe('');
  });

  it('gives an error of the command as its answer', async () => {
    expect((await ask(say(GREETING), say(ACCEPTED), say(answerOf('-ERR no such command\n')))).body).toContain('-ERR');
  });

  describe('says in a sentence', () => {
    it('that nobody listens', async () => {
      const gone = await EventSocketServer.listen();
      const { port } = gone;
      await gone.close();
      await expect(probe(port)).rejects.toThrow(`event socket: connect ECONNREFUSED 127.0.0.1:${port}`);
    });

    it('that the password is wrong', async () => {
      const refused = ask(say(GREETING), say('Content-Type: command/reply\nReply-Text: -ERR invalid\n\n'));
      await expect(refused).rejects.toThrow('event socket: wrong password');
      expect(server?.commands).toHaveLength(1); // and it is not tried again
    });

    it('that the access list refuses us', async () => {
      const rude = 'Content-Type: text/rude-rejection\nContent-Length: 24\n\nAccess Denied, go away.\n';
      const refused = ask((socket) => socket.end(rude));
      await expect(refused).rejects.toThrow('event socket: refused by its access list');
      expect(server?.commands).toEqual([]); // the password was not sent
    });

    it.each([
      { when: 'at once', script: [(socket: Socket) => socket.end()] },
      { when: 'after the greeting', script: [say(GREETING), (socket: Socket) => socket.end()] },
      {
        when: 'in the middle of the answer',
        script: [say(GREETING), say(ACCEPTED), (socket: Socket) => socket.end(answerOf(STATUS).slice(0, -5))],
      },
    ])('that it was hung up on $when', async ({ script }) => {
      await expect(ask(...script)).rejects.toThrow('event socket: closed by FreeSWITCH');
    });

    it('that the connection was reset', async () => {
      const reset = ask(say(GREETING), (socket) => socket.resetAndDestroy());
      await expect(reset).rejects.toThrow('event socket: read ECONNRESET');
    });

    it.each([
      { what: 'nothing', script: [nothing], commands: 0 },
      { what: 'nothing but a greeting', script: [say(GREETING), nothing], commands: 1 },
      { what: 'no answer', script: [say(GREETING), say(ACCEPTED), nothing], commands: 2 },
      {
        what: 'half an answer',
        script: [say(GREETING), say(ACCEPTED), say(answerOf(STATUS).slice(0, -1))],
        commands: 2,
      },
      { what: 'no end of a header', script: [say('Content-Type: auth/request\n')], commands: 0 },
    ])('that in 4 s $what came', async ({ script, commands }) => {
      const asked = ask(...script);
      const outcome = expect(asked).rejects.toThrow('event socket: no answer within 4000 ms');
      await vi.waitFor(() => expect([server?.connections, server?.commands.length]).toEqual([1, commands]));
      clock.advance(4_000);
      await outcome;
    });
  });

  describe('does not trust what it reads', () => {
    it.each(['-5', 'abc', '1e999', '268435456'])(
      'a length of %s: is not waited for longer than 4 s',
      async (length) => {
        const answer = `Content-Type: api/response\nContent-Length: ${length}\n\n${STATUS}`;
        const asked = ask(say(GREETING), say(ACCEPTED), say(answer));
        const outcome = expect(asked).rejects.toThrow('no answer within');
        await vi.waitFor(() => expect(server?.commands).toHaveLength(2));
        clock.advance(4_000);
        await outcome;
      },
    );

    it.each([
      { what: 'headers without an end', bytes: 'X-Header: value\n' },
      { what: 'a line without an end', bytes: 'x' },
      { what: 'an answer without an end', bytes: `Content-Length: ${2 ** 40}\n\n` },
    ])('$what: are cut off', async ({ bytes }) => {
      let written = 0;
      const flood = (socket: Socket): void => {
        const piece = bytes.repeat(Math.ceil(16_384 / bytes.length));
        const more = (): void => {
          if (socket.destroyed || written > 100 * MAX_BYTES) return;
          written += piece.length;
          if (socket.write(piece)) setImmediate(more);
          else socket.once('drain', more);
        };
        more();
      };
      await expect(ask(flood)).rejects.toThrow('event socket: answer too long');
      expect(written).toBeLessThan(100 * MAX_BYTES);
    });

    it('a hundred thousand empty messages: are read in little time', async () => {
      const asked = ask(say('\n\n'.repeat(100_000) + GREETING), say(ACCEPTED), say(answerOf(STATUS)));
      expect(await processorMsUntil(asked)).toBeLessThan(2_000);
      expect((await asked).body).toBe(STATUS);
    });

    it('noise: two hundred times, and it always comes to an end', async () => {
      const random = seededRandom(21);
      const scraps = [
        GREETING,
        ACCEPTED,
        answerOf(STATUS),
        '\n\n',
        '\n',
        ':',
        'Content-Length: 9\n',
        '\0',
        'é',
        '-',
        '{}',
      ];
      const noise = (): string =>
        Array.from({ length: Math.floor(random() * 30) }, () => scraps[Math.floor(random() * scraps.length)]).join('');
      for (let i = 0; i < 200; i++) {
        const noisy = await EventSocketServer.listen(say(noise()), say(noise()), (socket) => socket.end(noise()));
        const settled = probe(noisy.port).then(
          () => true,
          (error: unknown) => error instanceof Error && error.message.startsWith('event socket: '),
        );
        const timeOut = setInterval(() => clock.advance(4_000), 20);
        expect(await settled).toBe(true);
        clearInterval(timeOut);
        await noisy.close();
      }
    });
  });
});
