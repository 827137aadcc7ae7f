import { expect, test } from 'vitest';
import { takeFromClient } from '../../../src/sip-agent/wire/client-headers.js';
import type { Flow } from '../../../src/sip-agent/transport/flow.js';
import { SipRequest } from '../../../src/sip-agent/syntax/message.js';

const flow = (protocol: 'udp' | 'tcp'): Flow => ({
  protocol,
  reliable: protocol === 'tcp',
  remote: { address: '192.0.2.1', port: 5060 },
  local: { address: '192.0.2.2', port: 5070 },
  usable: true,
  toPort: () => flow(protocol),
  send: () => undefined,
  onFailure: () => () => undefined,
  hold: () => () => undefined,
});

test.each([
  ['udp', 'sip:foo@localhost', '<sip:foo@192.0.2.2:5070>'],
  ['tcp', 'sip:foo@localhost', '<sip:foo@192.0.2.2:5070;transport=tcp>'],
  ['udp', 'sip:foo@localhost;expires=60', '<sip:foo@192.0.2.2:5070>;expires=60'],
  ['udp', '"Foo" <sip:foo@example.com>', '"Foo" <sip:foo@example.com>'],
  ['udp', '*', '*'],
] as const)('over %s the Contact %s of a client becomes %s', (protocol, given, taken) => {
  const request = new SipRequest('REGISTER', 'sip:example.com');
  takeFromClient(request, new SipRequest('REGISTER', 'sip:example.com').add('contact', given), flow(protocol));
  expect(request.get('contact')).toBe(taken);
});
