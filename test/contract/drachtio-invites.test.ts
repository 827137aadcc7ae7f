import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { DrachtioSipEndpoint } from '../../src/signaling/drachtio/drachtio.js';
import type { DialogHandlers, IncomingInvite } from '../../src/signaling/sip-endpoint.js';
import { DrachtioServer, type SentMessage } from '../support/drachtio-server.js';
import { FakeClock } from '../support/fake-clock.js';
import { RecordingLogger } from '../support/recording-logger.js';
import { ANSWER } from '../support/sip-call.js';

/** What drachtio-server v0.9.10 says when it has ended an INVITE on a CANCEL before the answer to it came. */
const ENDED = 'NOK|Response not sent due to unknown transaction';

const HANDLERS: DialogHandlers = {
  onEnd: () => undefined,
  onAck: () => undefined,
  onRenegotiate: () => Promise.resolve(undefined),
  onDigit: () => undefined,
};

const request = (method: string, branch: string): string =>
  [
    `${method} sip:2@192.0.2.1 SIP/2.0`,
    `Via: SIP/2.0/UDP 192.0.2.9;branch=${branch}`,
    'From: <sip:1@192.0.2.9>;tag=f1',
    'To: <sip:2@192.0.2.1>',
    'Call-ID: one',
    `CSeq: 1 ${method}`,
    'Contact: <sip:1@192.0.2.9>',
    'Content-Length: 0',
    '',
    '',
  ].join('\r\n');

let server: DrachtioServer;
let endpoint: DrachtioSipEndpoint;
let clock: FakeClock;
let invites: IncomingInvite[];
let cancels: number;

beforeEach(async () => {
  server = await DrachtioServer.listen(0);
  clock = new FakeClock();
  invites = [];
  cancels = 0;
  endpoint = new DrachtioSipEndpoint(
    { host: '127.0.0.1', port: server.port, secret: 'x', clock, logger: new RecordingLogger() },
    {
      onInvite: (invite) => {
        invite.onCancel = () => (cancels += 1);
        invites.push(invite);
      },
      onConnection: () => undefined,
    },
  );
  await endpoint.connect();
  server.tell(request('INVITE', 'z9hG4bK-one'), 'first');
  await vi.waitFor(() => expect(invites).toHaveLength(1));
});

afterEach(async () => {
  endpoint.close();
  await server.close();
  expect(clock.pendingTimers).toBe(0);
});

/** Resolves to the next thing the bridge says. */
async function said(): Promise<SentMessage> {
  await vi.waitFor(() => expect(server.sent).not.toEqual([]));
  const [first] = server.sent.splice(0, 1);
  if (!first) throw new Error('nothing was said');
  return first;
}

it('refuses the copy of an INVITE that comes by another way, and hears of the CANCEL of the first', async () => {
  server.tell(request('INVITE', 'z9hG4bK-two'), 'second');
  const { text } = await said();
  expect(text).toMatch(/^SIP\/2\.0 482 /);
  expect(text).toMatch(/^call-id: one\r$/im);
  server.tell(request('CANCEL', 'z9hG4bK-one'), 'first');
  await vi.waitFor(() => expect(cancels).toBe(1));
  expect(invites).toHaveLength(1);
});

it('knows of the CANCEL that its answer has crossed', async () => {
  const answered = invites[0]?.answer(ANSWER, HANDLERS);
  const { text, reply } = await said();
  expect(text).toMatch(/^SIP\/2\.0 200 /);
  server.tell(request('CANCEL', 'z9hG4bK-one'), 'first');
  reply(ENDED);
  await expect(answered).rejects.toThrow('unknown transaction');
  expect(cancels).toBe(1);
});

it('takes no other failure of an answer for a CANCEL', async () => {
  const answered = invites[0]?.answer(ANSWER, HANDLERS);
  (await said()).reply('NOK|Unknown server error sending response');
  await expect(answered).rejects.toThrow('server error');
  expect(cancels).toBe(0);
});
