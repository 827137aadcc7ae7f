import { expect, test } from 'vitest';
import { Dialog, dialogId } from '../../../src/sip-agent/dialog/dialog.js';
import type { Flow } from '../../../src/sip-agent/transport/flow.js';
import type { IncomingRequest } from '../../../src/sip-agent/transaction/incoming-request.js';
import { SipRequest } from '../../../src/sip-agent/syntax/message.js';
import { parseDatagram } from '../../../src/sip-agent/syntax/parse.js';
import { sipTimers } from '../../../src/sip-agent/transaction/timers.js';
import { TransactionLayer } from '../../../src/sip-agent/transaction/layer.js';
import { FakeClock } from '../../support/fake-clock.js';
import { octetsInUse } from '../../support/heap.js';

const MESSAGES = 100;
const FILLER = `X-Filler: ${'f'.repeat(7_000)}`;
/** Of the seven fillers of a message, this is less than one. */
const MAX_OCTETS_EACH = 6_000;

const flow: Flow = {
  protocol: 'udp',
  reliable: false,
  usable: true,
  remote: { address: '192.0.2.1', port: 5060 },
  local: { address: '192.0.2.100', port: 5060 },
  toPort: () => flow,
  send: () => undefined,
  onFailure: () => () => undefined,
  hold: () => () => undefined,
};

/** Every part of it that names something is long enough for V8 to cut it out of the message rather than to copy it. */
function message(method: string, index: number, headers: readonly string[] = [], branch = 'z9hG4bK-a-long-branch-') {
  const text = [
    `${method} sip:a-long-user-name-${index}@192.0.2.100 SIP/2.0`,
    `Via: SIP/2.0/UDP a-long-host-name-${index}.example.com;branch=${branch}${index};rport`,
    'Max-Forwards: 70',
    `From: <sip:a-long-caller-${index}@192.0.2.1>;tag=a-long-from-tag-${index}`,
    `To: <sip:a-long-callee-${index}@192.0.2.100>${method === 'INVITE' ? '' : `;tag=a-long-to-tag-${index}`}`,
    `Call-ID: a-long-call-id-${index}`,
    `CSeq: 1 ${method}`,
    `Contact: <sip:a-long-contact-${index}@192.0.2.1>`,
    'Record-Route: <sip:a-long-proxy-name.example.com;lr>',
    ...headers,
    ...Array.from({ length: 7 }, () => FILLER),
    'Content-Length: 0',
    '',
    '',
  ].join('\r\n');
  const parsed = parseDatagram(Buffer.from(text));
  if (!parsed.ok || !(parsed.message instanceof SipRequest)) throw new Error('malformed');
  return { message: parsed.message, envelope: parsed.envelope };
}

/**
 * What is kept for each message of which `keep` returns what outlives it. The heap is the whole process's, which may
 * take up something else meanwhile: what seems too much is measured again, and the least counts.
 */
function octetsKept(keep: (index: number) => unknown): number {
  let next = 0;
  // What is made once is not counted.
  keep(next++);
  const measure = (): number => {
    const kept: unknown[] = [];
    const before = octetsInUse();
    while (kept.length < MESSAGES) kept.push(keep(next++));
    const octets = (octetsInUse() - before) / MESSAGES;
    expect(kept).toHaveLength(MESSAGES);
    return octets;
  };
  let least = measure();
  for (let again = 0; again < 3 && least >= MAX_OCTETS_EACH; again++) least = Math.min(least, measure());
  return least;
}

test('what is cut out of a message does not keep the message', () => {
  const parts: ((index: number) => unknown)[] = [
    (index) => message('INFO', index).message.method,
    (index) => message('INFO', index).message.uri,
    (index) => message('INFO', index).message.headers[2],
    (index) => message('INFO', index, [`X-A-Long-Header-Name-${index}: 1`]).message.headers[9]?.[0],
    (index) => message('INFO', index).envelope,
    (index) => dialogId(message('INFO', index).envelope.callId, 'a-long-from-tag'),
  ];
  for (const part of parts) expect(octetsKept(part)).toBeLessThan(MAX_OCTETS_EACH);
});

test('a dialog does not keep the INVITE it was made by', () => {
  const octets = octetsKept((index) => {
    const invite = { ...message('INVITE', index), flow, toTag: 'ours' } as unknown as IncomingRequest;
    return Dialog.fromInvite(invite, '<sip:192.0.2.100>');
  });
  expect(octets).toBeLessThan(MAX_OCTETS_EACH);
});

test.each([
  ['INVITE', 401, undefined],
  ['OPTIONS', 200, undefined],
  ['INFO', 481, undefined],
  ['INFO', 481, 'a-branch-of-RFC-2543-'],
])('a transaction does not keep the %s it has answered with %i', (method, status, branch) => {
  const clock = new FakeClock();
  const layer = new TransactionLayer({ clock, timers: sipTimers(), maxServerTransactions: 10 * MESSAGES });
  layer.serve({
    request: (incoming) => incoming.reply(status),
    acknowledge: () => undefined,
    cancel: () => undefined,
    abandoned: () => undefined,
  });
  let served = 0;
  const octets = octetsKept((index) => {
    served += 1;
    const { message: request, envelope } = message(method, index, [], branch);
    layer.receiveRequest(request, envelope, flow);
  });
  expect(layer.serverTransactions).toBe(served);
  expect(octets).toBeLessThan(MAX_OCTETS_EACH);
  clock.advance(64_000);
  expect(layer.serverTransactions).toBe(0);
  expect(layer.serverOctets).toBe(0);
});
