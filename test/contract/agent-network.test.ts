import { createHash, X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { networkInterfaces } from 'node:os';
import type { Duplex } from 'node:stream';
import { afterEach, describe, expect, it, vi } from 'vitest';
import type { AgentMode } from '../../src/pranthora/agent-session.js';
import { AgentNetwork, type NetworkSettings } from '../../src/pranthora/network.js';
import { PranthoraSimulator } from '../../src/simulator/pranthora-simulator.js';
import { steadyClock } from '../support/steady-clock.js';
import { Call, KEY, type CallOptions } from './agent-harness.js';
import { ConnectProxy } from './connect-proxy.js';

const fixture = (name: string): string => readFileSync(new URL(`../fixtures/tls/${name}`, import.meta.url), 'utf8');
const pair = (name: string): { key: string; cert: string } => ({
  key: fixture(`${name}.key`),
  cert: fixture(`${name}.crt`),
});
const LOOPBACK = pair('loopback');
const NAMED = pair('pranthora.test');
const pinOf = (pem: string): string =>
  createHash('sha256')
    .update(new X509Certificate(pem).publicKey.export({ type: 'spki', format: 'der' }))
    .digest('base64');

const hasIpv6 = Object.values(networkInterfaces()).some((addresses) =>
  addresses?.some(({ address }) => address === '::1'),
);
const MODES: readonly AgentMode[] = ['websocket', 'handshake', 'telephony'];
const NO_RETRY = { maxAttempts: 0, initialDelayMs: 10, maxDelayMs: 10, keepMs: 400 };

let simulator: PranthoraSimulator | undefined;
let proxy: ConnectProxy | undefined;
let call: Call | undefined;

afterEach(async () => {
  call?.hangUp();
  expect(call?.clock.pendingTimers ?? 0).toBe(0);
  await vi.waitFor(() => expect(simulator?.sessions.every(({ isClosed }) => isClosed) ?? true).toBe(true));
  await vi.waitFor(() => expect(proxy?.openSockets ?? 0).toBe(0));
  await simulator?.stop();
  await proxy?.stop();
  call = simulator = proxy = undefined;
  await vi.waitFor(() => expect(process.getActiveResourcesInfo().filter((kind) => kind.startsWith('TCP'))).toEqual([]));
});

async function simulate(tls?: { key: string; cert: string }): Promise<string> {
  simulator = new PranthoraSimulator({ apiKey: KEY, clock: steadyClock, scenario: 'echo', ...(tls && { tls }) });
  return (await simulator.start()).url;
}

function dial(url: string, settings: NetworkSettings, options: CallOptions = {}): Call {
  call = new Call(url, { network: new AgentNetwork(settings), reconnect: NO_RETRY, ...options });
  return call.connect();
}

async function proxyUrl(onConnect?: (socket: Duplex) => void): Promise<string> {
  proxy = new ConnectProxy(onConnect);
  return proxy.start();
}

describe.each(MODES)('TLS, mode %s', (mode) => {
  it('is not spoken with a stranger', async () => {
    const ending = await dial(await simulate(LOOPBACK), {}, { mode }).ending();
    expect(ending).toEqual({
      kind: 'unreachable',
      detail: 'the TLS certificate is not acceptable [DEPTH_ZERO_SELF_SIGNED_CERT]',
    });
    expect(simulator?.sessions).toEqual([]);
  });

  it('is spoken with whom an extra CA vouches for', async () => {
    const talking = dial(await simulate(LOOPBACK), { tls: { ca: LOOPBACK.cert } }, { mode });
    await talking.until('ready');
    talking.talk();
    await talking.until('audio', 3);
    expect(simulator?.report().url).toMatch(/^wss:/);
  });

  it('is spoken with one of the pinned keys alone', async () => {
    const url = await simulate(LOOPBACK);
    const pins = [pinOf(NAMED.cert), pinOf(LOOPBACK.cert)];
    await dial(url, { tls: { ca: LOOPBACK.cert, pinnedSha256: pins } }, { mode }).until('ready');
    call?.hangUp();
    const ending = await dial(url, { tls: { ca: LOOPBACK.cert, pinnedSha256: pins.slice(0, 1) } }, { mode }).ending();
    expect(ending.detail).toBe('the TLS certificate is not acceptable [CERT_NOT_PINNED]');
  });

  it('a pin alone makes nobody trusted', async () => {
    const tls = { pinnedSha256: [pinOf(LOOPBACK.cert)] };
    expect((await dial(await simulate(LOOPBACK), { tls }, { mode }).ending()).detail).toContain('SELF_SIGNED');
  });

  it('wants the certificate to be for the host, or for the name that is given instead', async () => {
    const url = await simulate(NAMED);
    const ca = NAMED.cert;
    const ending = await dial(url, { tls: { ca } }, { mode }).ending();
    expect(ending.detail).toBe('the TLS certificate is for another host [ERR_TLS_CERT_ALTNAME_INVALID]');
    await dial(url, { tls: { ca, servername: 'pranthora.test' } }, { mode }).until('ready');
  });
});

it.each(MODES)('the name that is given is the one asked for (SNI), mode %s', async (mode) => {
  const names: unknown[] = [];
  const server = createServer(NAMED, (_request, response) => response.writeHead(503).end());
  server.on('secureConnection', ({ servername }) => names.push(servername));
  server.on('upgrade', (_request, socket) => socket.end('HTTP/1.1 503 Busy\r\n\r\n'));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = `wss://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const tls = { ca: NAMED.cert, servername: 'pranthora.test' };
  expect(await dial(url, { tls }, { mode }).ending()).toMatchObject({ httpStatus: 503 });
  expect(names).toEqual(['pranthora.test']);
  server.close();
  await once(server, 'close');
});

it.skipIf(!hasIpv6).each([
  ['is taken from a certificate that names it', LOOPBACK, { httpStatus: 503 }],
  ['is not', NAMED, { detail: 'the TLS certificate is for another host [ERR_TLS_CERT_ALTNAME_INVALID]' }],
] as const)('an IPv6 address instead of a host name %s (skipped where there is no IPv6)', async (_, own, expected) => {
  const server = createServer(own);
  server.on('upgrade', (_request, socket) => socket.end('HTTP/1.1 503 Busy\r\n\r\n'));
  server.listen(0, '::1');
  await once(server, 'listening');
  const url = `wss://[::1]:${(server.address() as AddressInfo).port}`;
  expect(await dial(url, { tls: { ca: own.cert } }, { mode: 'websocket' }).ending()).toMatchObject(expected);
  server.close();
  await once(server, 'close');
});

describe.each(MODES)('a proxy, mode %s', (mode) => {
  const settings = (url: string, ...noProxy: string[]): NetworkSettings => ({
    tls: { ca: LOOPBACK.cert, pinnedSha256: [pinOf(LOOPBACK.cert)] },
    proxy: { url, noProxy },
  });

  it('tunnels, and learns nothing but the address', async () => {
    const url = await simulate(LOOPBACK);
    const talking = dial(url, settings((await proxyUrl()).replace('//', '//user:p%40ss@')), { mode });
    await talking.until('ready');
    talking.talk();
    await talking.until('audio', 3);
    const tunnels = mode === 'handshake' ? 2 : 1;
    expect(proxy?.asked).toEqual(Array.from({ length: tunnels }, () => url.slice('wss://'.length)));
    expect(proxy?.credentials[0]).toBe(`Basic ${Buffer.from('user:p@ss').toString('base64')}`);
    expect(proxy?.sent.length).toBeGreaterThan(1_000);
    expect(proxy?.sent.includes(KEY)).toBe(false);
  });

  it('does not loosen what is asked of a certificate', async () => {
    const url = await simulate(NAMED);
    const proxied = { proxy: { url: await proxyUrl(), noProxy: [] } };
    expect((await dial(url, { ...proxied, tls: { ca: NAMED.cert } }, { mode }).ending()).detail).toContain('ALTNAME');
    expect((await dial(url, proxied, { mode }).ending()).detail).toContain('SELF_SIGNED');
    const tls = { ca: NAMED.cert, servername: 'pranthora.test' };
    await dial(url, { ...proxied, tls }, { mode }).until('ready');
  });

  it('is passed by for the hosts it is not for, and for ws:', async () => {
    const url = await proxyUrl();
    await dial(await simulate(LOOPBACK), settings(url, '127.0.0.1'), { mode }).until('ready');
    call?.hangUp();
    await simulator?.stop();
    await dial(await simulate(), settings(url), { mode }).until('ready');
    expect(proxy?.asked).toEqual([]);
  });

  it.each([
    [403, 'configuration', 'the proxy refused the connection (HTTP 403)'],
    [407, 'configuration', 'the proxy wants other credentials (HTTP 407)'],
    [502, 'unreachable', 'the proxy refused the connection (HTTP 502)'],
  ])('answers %i', async (status, kind, detail) => {
    const url = await proxyUrl((socket) => socket.end(`HTTP/1.1 ${status} No\r\nContent-Length: 2\r\n\r\nno`));
    const ending = await dial('wss://pranthora.test', settings(url), { mode }).ending();
    expect(ending).toEqual({ kind, detail, httpStatus: status });
  });

  it('cannot be reached, or breaks off', async () => {
    const dead = await proxyUrl();
    await proxy?.stop();
    proxy = undefined;
    expect(await dial('wss://pranthora.test', settings(dead), { mode }).ending()).toEqual({
      kind: 'unreachable',
      detail: 'the proxy cannot be used: connection refused [ECONNREFUSED]',
    });
    const url = await proxyUrl((socket) => socket.end());
    const ending = await dial('wss://pranthora.test', settings(url), { mode }).ending();
    expect(ending.detail).toMatch(/^the proxy cannot be used: /);
  });

  it('never answers: the connection to it is given up in time', async () => {
    const url = await proxyUrl(() => undefined);
    const lost = dial('wss://pranthora.test', settings(url), { mode, connectTimeoutMs: 60 });
    expect((await lost.ending()).detail).toContain('within 60 ms (connect timeout)');
  });

  it('never answers, and the caller hangs up', async () => {
    const url = await proxyUrl(() => undefined);
    dial('wss://pranthora.test', settings(url), { mode });
    await vi.waitFor(() => expect(proxy?.asked).toEqual(['pranthora.test:443']));
    call?.hangUp();
    // That its socket is gone is checked after every test.
  });
});
