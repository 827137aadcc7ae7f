import { once } from 'node:events';
import { afterEach, expect, it, vi } from 'vitest';
import { WebSocket } from 'ws';
import { ConformanceLedger, type ClientConformance } from '../../../src/simulator/conformance.js';
import { PranthoraSimulator } from '../../../src/simulator/pranthora-simulator.js';
import type { SimulatorSessionReport } from '../../../src/simulator/simulator-session.js';
import { steadyClock } from '../../support/steady-clock.js';

const KEY = 'key-of-the-test';
let simulator: PranthoraSimulator | undefined;

afterEach(async () => {
  await simulator?.stop();
  simulator = undefined;
});

async function run(): Promise<string> {
  simulator = new PranthoraSimulator({ apiKey: KEY, clock: steadyClock, scenario: 'silent' });
  return (await simulator.start()).url;
}

async function open(url: string): Promise<WebSocket> {
  const socket = new WebSocket(url, { headers: { 'x-api-key': KEY, 'user-agent': 'client-of-the-test' } });
  await once(socket, 'open');
  return socket;
}

async function conformance(): Promise<ClientConformance> {
  await vi.waitFor(() => expect(simulator?.sessions.every(({ isClosed }) => isClosed)).toBe(true));
  const [client, ...others] = simulator?.conformance() ?? [];
  if (!client || others.length > 0) throw new Error('not one client');
  return client;
}

const verdict = ({ rules }: ClientConformance, part: string): unknown =>
  rules.find(({ rule }) => rule.includes(part))?.verdict;

it('says of a telephony client what it kept, what it broke and what it did not try', async () => {
  const socket = await open(`${await run()}/api/call/media-stream/agents/a1`);
  socket.send('{"event":"start","start":{"streamSid":"MZ1"}}');
  socket.send(JSON.stringify({ event: 'media', media: { payload: Buffer.alloc(160).toString('base64') } }));
  socket.send(Buffer.alloc(160));
  socket.close(1000);
  const client = await conformance();
  expect(client).toMatchObject({
    client: '127.0.0.1 (client-of-the-test)',
    handshakes: 0,
    sessions: { websocket: 0, telephony: 1 },
  });
  expect(client.rules).toContainEqual({
    rule: 'one start event, with streamSid and callSid, begins the stream',
    verdict: 'broken',
    times: 1,
    detail: 'start without a callSid',
  });
  expect(verdict(client, 'JSON in text')).toBe('broken');
  expect(verdict(client, 'a stop event ends')).toBe('broken');
  expect(verdict(client, 'x-api-key header')).toBe('kept');
  expect(verdict(client, 'base64')).toBe('kept');
  expect(verdict(client, '20 ms frames')).toBe('kept');
  expect(verdict(client, 'close frame')).toBe('kept');
  expect(verdict(client, 'marks come back')).toBe('not tried');
  expect(verdict(client, 'start_media_streaming')).toBeUndefined();
  expect(JSON.stringify(client)).not.toContain(KEY);
});

it('says of a client on the pure WebSocket that it broke the connection off', async () => {
  const socket = await open(`${await run()}/api/call/web-media-stream?agent_id=a1`);
  socket.send(Buffer.alloc(641));
  await vi.waitFor(() => expect(simulator?.sessions[0]?.report().framesReceived).toBe(1));
  socket.terminate();
  const client = await conformance();
  expect(verdict(client, '20 ms frames')).toBe('broken');
  expect(verdict(client, 'close frame')).toBe('broken');
  expect(verdict(client, 'audio waits for')).toBe('kept');
  expect(verdict(client, 'everything sent is binary')).toBe('kept');
});

it('says of handshakes what was wrong with them', async () => {
  const url = `${(await run()).replace('ws:', 'http:')}/api/call`;
  const post = async (body: string, headers: Record<string, string> = {}): Promise<unknown> => {
    const response = await fetch(url, { method: 'POST', body, headers: { 'x-api-key': KEY, ...headers } });
    return [response.status, await response.json()];
  };
  const json = { 'content-type': 'application/json' };
  expect(await post('{"agent_id":"a 1"}', json)).toEqual([
    200,
    { websocket_url: `${simulator?.report().url ?? ''}/api/call/media-stream/agents/a%201` },
  ]);
  expect(await post('{"agent_id":"a1"}', { ...json, 'x-api-key': 'x' })).toMatchObject([401, {}]);
  expect(await post('{"agent_id":"a1","workflow_id":"w1"}', json)).toMatchObject([422, {}]);
  expect(await post('nonsense', json)).toMatchObject([422, {}]);
  expect(await post('{"agent_id":"a1"}')).toMatchObject([422, {}]);
  const [client] = simulator?.conformance() ?? [];
  expect(client?.handshakes).toBe(5);
  expect(client?.rules.map(({ rule, verdict: found, times }) => [rule.slice(0, 15), found, times])).toEqual([
    ['the API key com', 'broken', 1],
    ['exactly one of ', 'broken', 1],
    ['the handshake i', 'broken', 2],
  ]);
});

it('is not the client’s fault that the simulator goes', async () => {
  await open(`${await run()}/api/call/media-stream/agents/a1`);
  await simulator?.stop();
  const client = await conformance();
  expect(client.rules.filter(({ verdict: found }) => found === 'broken')).toEqual([]);
});

it('keeps count of no more than a hundred clients', () => {
  const ledger = new ConformanceLedger();
  const report = { protocol: 'websocket', closedByServer: true } as SimulatorSessionReport;
  for (let i = 0; i < 150; i++) ledger.addSession({ ...report, client: `${i}` }, []);
  expect(ledger.report()).toHaveLength(100);
});
