import { Socket } from 'node:net';
import { beforeEach, expect, test } from 'vitest';
import { Handshakes } from '../../../src/sip-agent/transport/handshakes.js';

let port = 0;
let handshakes: Handshakes;

beforeEach(() => {
  handshakes = new Handshakes({ nowMs: () => 0, allow: () => true, failed: () => undefined });
});

function begin(address: string): { socket: Socket; begun: boolean } {
  const socket = new Socket();
  const begun = handshakes.begin(socket, { address, port: ++port }, () => undefined);
  return { socket, begun };
}

test('one source has a quarter of all handshakes at most', () => {
  for (let count = 0; count < 64; count++) expect(begin('192.0.2.1').begun).toBe(true);
  const refused = begin('192.0.2.1');
  expect(refused.begun).toBe(false);
  expect(refused.socket.destroyed).toBe(true);
  expect(handshakes.from('192.0.2.1')).toBe(64);
  expect(begin('192.0.2.2').begun).toBe(true);
  handshakes.close();
});

test('when there is no room, the oldest yields to a source that has none', () => {
  const first = begin('192.0.2.1');
  const second = begin('192.0.2.1');
  for (let count = 2; count < 256; count++) expect(begin(`192.0.2.${1 + (count >> 6)}`).begun).toBe(true);
  expect(begin('192.0.2.4').begun).toBe(false);
  expect(begin('192.0.2.5').begun).toBe(true);
  expect(first.socket.destroyed).toBe(true);
  expect(begin('192.0.2.6').begun).toBe(true);
  expect(second.socket.destroyed).toBe(true);
  handshakes.close();
});
