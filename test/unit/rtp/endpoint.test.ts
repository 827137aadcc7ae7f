import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { afterEach, describe, expect, it } from 'vitest';
import type { LogFields, Logger } from '../../../src/logger.js';
import { RtpEndpoint, RtpOpenError } from '../../../src/rtp/endpoint.js';
import { writeRtpHeader } from '../../../src/rtp/packet.js';
import { PortPool } from '../../../src/rtp/port-pool.js';
import { writeRtcp } from '../../../src/rtp/rtcp-packet.js';
import { FakeClock } from '../../support/fake-clock.js';
import { seededRandom } from '../../support/signal.js';

const CALLER = '127.0.0.1';
const OTHER = '127.0.0.2';
const STRANGER = '127.0.0.3';
const PCMU = 0;

const clock = new FakeClock();
const lines: LogFields[] = [];
const logger: Logger = {
  debug: (fields) => void lines.push(fields),
  info: (fields) => void lines.push(fields),
  warn: (fields) => void lines.push(fields),
  error: (fields) => void lines.push(fields),
  child: () => logger,
};

/** A UDP socket of the test's own: sends RTP to the endpoint and collects what comes back. */
class Peer {
  readonly received: Buffer[] = [];
  readonly #socket: Socket;

  constructor(socket: Socket) {
    this.#socket = socket;
    socket.on('message', (bytes) => this.received.push(bytes));
  }

  get address(): string {
    return this.#socket.address().address;
  }

  get port(): number {
    return this.#socket.address().port;
  }

  /** Resolves once the kernel has the datagram: on loopback that is in the receiver's buffer, in order. */
  send(bytes: Uint8Array, port: number, address = CALLER): Promise<void> {
    return new Promise((resolve, reject) =>
      this.#socket.send(bytes, port, address, (error) => {
        if (error) reject(error);
        else resolve();
      }),
    );
  }

  async next(): Promise<Buffer> {
    if (this.received.length === 0) await once(this.#socket, 'message');
    return this.received.shift() ?? Buffer.alloc(0);
  }

  close(): void {
    this.#socket.close();
  }
}

const peers: Peer[] = [];
const benches: Bench[] = [];

async function newPeer(address: string, port = 0): Promise<Peer> {
  const socket = createSocket(address.includes(':') ? 'udp6' : 'udp4');
  socket.bind(port, address);
  await once(socket, 'listening').catch((error: unknown) => {
    socket.close();
    throw error;
  });
  const peer = new Peer(socket);
  peers.push(peer);
  return peer;
}

/** An endpoint with what it has delivered. */
interface Bench {
  endpoint: RtpEndpoint;
  pool: PortPool;
  delivered: number[];
  rtcp: Buffer[];
  keepAlives: number[];
}

/** `looped`: an SSRC of ours. */
async function newBench(bindAddress = CALLER, looped = -1): Promise<Bench> {
  const pool = newPool();
  const delivered: number[] = [];
  const rtcp: Buffer[] = [];
  const keepAlives: number[] = [];
  const endpoint = await RtpEndpoint.open({
    bindAddress,
    pool,
    clock,
    logger,
    isPlausible: (packet) => packet.payloadType === PCMU,
    isLooped: ({ ssrc }) => ssrc === looped,
    onPacket: (packet) => delivered.push(packet.sequenceNumber),
    onKeepAlive: (nowMs) => keepAlives.push(nowMs),
    onRtcp: (bytes) => rtcp.push(bytes),
  });
  const bench = { endpoint, pool, delivered, rtcp, keepAlives };
  benches.push(bench);
  return bench;
}

/** All ports of this file are below those the system gives out by itself. */
function newPool(): PortPool {
  return new PortPool({ minPort: 18_000, maxPort: 19_999 });
}

function rtp(sequenceNumber: number, payloadType = PCMU, ssrc = 9): Buffer {
  const bytes = Buffer.alloc(172);
  writeRtpHeader(bytes, { payloadType, marker: false, sequenceNumber, timestamp: 160 * sequenceNumber, ssrc });
  return bytes;
}

/** Waits until the endpoint has seen `count` datagrams in all: event-loop turns only, no time. */
async function settle({ endpoint }: Bench, count: number): Promise<void> {
  while (endpoint.stats.received < count) await nextTurn();
}

const nextTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** UDP sockets of this process that are open, after the turns of the event loop a closed one needs to be gone. */
async function openSockets(): Promise<string[]> {
  await nextTurn();
  await nextTurn();
  return process.getActiveResourcesInfo().filter((name) => name === 'UDPWrap');
}

afterEach(async () => {
  for (const { endpoint, pool } of benches.splice(0)) {
    endpoint.close();
    expect(pool).toMatchObject({ inUse: 0, free: 1000 });
  }
  for (const peer of peers.splice(0)) peer.close();
  lines.length = 0;
  expect(clock.pendingTimers).toBe(0);
  expect(await openSockets()).toEqual([]);
});

describe('RtpEndpoint', () => {
  it("sends to the SDP's address at once, and receives from it", async () => {
    const bench = await newBench();
    const caller = await newPeer(CALLER);
    bench.endpoint.setRemote({ address: CALLER, port: caller.port, latch: 'any' });
    bench.endpoint.send(rtp(1));
    expect(await caller.next()).toEqual(rtp(1));
    await caller.send(rtp(7), bench.endpoint.port);
    await caller.send(rtp(8), bench.endpoint.port);
    await settle(bench, 2);
    expect(bench.delivered).toEqual([7, 8]);
    expect(bench.endpoint.port % 2).toBe(0);
    expect(bench.endpoint.stats).toEqual({
      received: 2,
      ignoredSource: 0,
      malformed: 0,
      rtcp: 0,
      ignoredRtcp: 0,
      sent: 1,
      sendErrors: 0,
      unaddressed: 0,
      source: { address: CALLER, port: caller.port },
    });
  });

  it('follows the address of the SIP when the SDP names a private one, and locks', async () => {
    const bench = await newBench('0.0.0.0');
    const [behindNat, stranger] = [await newPeer(OTHER), await newPeer(STRANGER)];
    bench.endpoint.setRemote({ address: '10.255.255.1', port: 4000, latch: 'any', peer: OTHER });
    await stranger.send(Buffer.from('not RTP'), bench.endpoint.port);
    await stranger.send(rtp(1, 96), bench.endpoint.port);
    await settle(bench, 2);
    await behindNat.send(rtp(2), bench.endpoint.port);
    await settle(bench, 3);
    await stranger.send(rtp(3), bench.endpoint.port);
    await behindNat.send(rtp(4, 101), bench.endpoint.port);
    await settle(bench, 5);
    expect(bench.delivered).toEqual([2, 4]);
    bench.endpoint.send(rtp(5));
    expect(await behindNat.next()).toEqual(rtp(5));
    expect(stranger.received).toEqual([]);
    const ignored = { source: { address: STRANGER, port: stranger.port } };
    expect(bench.endpoint.stats).toMatchObject({ received: 5, ignoredSource: 2, ignored, malformed: 1, sendErrors: 0 });
    expect(bench.endpoint.stats.ignored).toEqual(ignored);
    expect(lines.map((line) => line.event)).toEqual(['rtp.source-locked']);
  });

  it('delivers what a stranger has said while it was learned, once it is taken', async () => {
    const bench = await newBench();
    const [relay, single] = [await newPeer(OTHER), await newPeer(STRANGER)];
    bench.endpoint.setRemote({ address: '10.255.255.1', port: 4000, latch: 'any', peer: CALLER });
    await single.send(rtp(7), bench.endpoint.port);
    for (let i = 1; i <= 3; i++) await relay.send(rtp(i), bench.endpoint.port);
    await settle(bench, 4);
    expect(bench.delivered).toEqual([]);
    expect(bench.endpoint.stats).toMatchObject({ ignoredSource: 4, source: undefined });
    await relay.send(rtp(4), bench.endpoint.port);
    await settle(bench, 5);
    expect(bench.delivered).toEqual([1, 2, 3, 4]);
    expect(bench.endpoint.stats.source).toEqual({ address: OTHER, port: relay.port });
    const ignored = { source: { address: STRANGER, port: single.port } };
    await single.send(rtp(8), bench.endpoint.port);
    await settle(bench, 6);
    expect(bench.endpoint.stats).toMatchObject({ ignoredSource: 2, ignored });
  });

  it("gives the call back to the SDP's address from a stranger who was faster", async () => {
    const bench = await newBench();
    const [caller, stranger] = [await newPeer(CALLER), await newPeer(STRANGER)];
    bench.endpoint.setRemote({ address: CALLER, port: caller.port, latch: 'any' });
    for (let i = 1; i <= 4; i++) await stranger.send(rtp(i), bench.endpoint.port);
    await settle(bench, 4);
    clock.advance(60_000);
    await caller.send(rtp(5), bench.endpoint.port);
    await settle(bench, 5);
    await stranger.send(rtp(6), bench.endpoint.port);
    await settle(bench, 6);
    expect(bench.delivered).toEqual([1, 2, 3, 4, 5]);
    expect(bench.endpoint.stats.source).toEqual({ address: CALLER, port: caller.port });
  });

  it('takes none of our own packets that come back', async () => {
    const bench = await newBench(CALLER, 9);
    const caller = await newPeer(CALLER);
    bench.endpoint.setRemote({ address: CALLER, port: caller.port, latch: 'any' });
    await caller.send(rtp(1), bench.endpoint.port);
    await caller.send(rtp(2, PCMU, 10), bench.endpoint.port);
    await caller.send(rtp(3), bench.endpoint.port);
    await settle(bench, 3);
    expect(bench.delivered).toEqual([2]);
    expect(bench.endpoint.stats.ignoredSource).toBe(2);
  });

  it('follows a source whose address has changed on the way, and nobody who does not go on with its stream', async () => {
    const bench = await newBench('0.0.0.0');
    const [caller, moved, stranger] = [await newPeer(CALLER), await newPeer(OTHER), await newPeer(STRANGER)];
    bench.endpoint.setRemote({ address: CALLER, port: caller.port, latch: 'any' });
    for (let i = 1; i <= 4; i++) await caller.send(rtp(i), bench.endpoint.port);
    await settle(bench, 4);
    clock.advance(400);
    await moved.send(rtp(5), bench.endpoint.port);
    await settle(bench, 5);
    clock.advance(600);
    for (let i = 6; i <= 9; i++) await stranger.send(rtp(i, PCMU, 10), bench.endpoint.port);
    await settle(bench, 9);
    for (let i = 6; i <= 9; i++) await moved.send(rtp(i), bench.endpoint.port);
    await settle(bench, 13);
    expect(bench.delivered).toEqual([1, 2, 3, 4, 6, 7, 8, 9]);
    bench.endpoint.send(rtp(20));
    expect(await moved.next()).toEqual(rtp(20));
    expect(bench.endpoint.stats.ignoredSource).toBe(5);
  });

  it('moves with a re-INVITE', async () => {
    const bench = await newBench();
    const [first, second] = [await newPeer(CALLER), await newPeer(OTHER)];
    bench.endpoint.setRemote({ address: CALLER, port: first.port, latch: 'any' });
    await first.send(rtp(1), bench.endpoint.port);
    await settle(bench, 1);
    bench.endpoint.setRemote({ address: OTHER, port: second.port, latch: 'any' });
    bench.endpoint.send(rtp(10));
    expect(await second.next()).toEqual(rtp(10));
    await first.send(rtp(2), bench.endpoint.port);
    await settle(bench, 2);
    await second.send(rtp(3), bench.endpoint.port);
    await settle(bench, 3);
    expect(bench.delivered).toEqual([1, 3]);
  });

  it.each([
    ['0.0.0.0', 4000],
    ['pbx.example.com', 4000],
    ['::1', 4000],
    ['127.0.0.1', 0],
    ['127.0.0.1', 9],
    ['127.0.0.1', 65_536],
    ['127.0.0.1', 4000.5],
    ['', NaN],
  ])('sends nowhere while told %s port %d', async (address, port) => {
    const bench = await newBench();
    bench.endpoint.send(rtp(0));
    bench.endpoint.setRemote({ address, port, latch: 'any', peer: CALLER });
    bench.endpoint.send(rtp(1));
    expect(bench.endpoint.stats).toMatchObject({ sent: 0, unaddressed: 2, sendErrors: 0 });
    const caller = await newPeer(CALLER);
    await caller.send(rtp(2), bench.endpoint.port);
    await settle(bench, 1);
    bench.endpoint.send(rtp(3));
    expect(await caller.next()).toEqual(rtp(3));
  });

  it('receives nothing before it knows of a remote side', async () => {
    const bench = await newBench();
    const stranger = await newPeer(STRANGER);
    await stranger.send(rtp(1), bench.endpoint.port);
    await settle(bench, 1);
    expect(bench.delivered).toEqual([]);
    expect(bench.endpoint.stats).toMatchObject({ ignoredSource: 1, source: undefined });
  });

  it('counts what the system does not send, and lives on', async () => {
    const bench = await newBench('0.0.0.0');
    // Sending to a broadcast address takes a permission the socket does not have.
    bench.endpoint.setRemote({ address: '255.255.255.255', port: 4000, latch: 'any', peer: CALLER });
    bench.endpoint.send(rtp(1));
    while (bench.endpoint.stats.sendErrors === 0) await nextTurn();
    expect(bench.endpoint.stats).toMatchObject({ sent: 1, sendErrors: 1 });
    // The second where there is no way to anybody.
    expect(['EACCES', 'ENETUNREACH']).toContain(bench.endpoint.stats.sendError);
    const caller = await newPeer(CALLER);
    await caller.send(rtp(2), bench.endpoint.port);
    await settle(bench, 1);
    expect(bench.delivered).toEqual([2]);
  });

  it('survives a caller whose port is closed', async () => {
    const bench = await newBench();
    const caller = await newPeer(CALLER);
    const gone = await newPeer(OTHER);
    bench.endpoint.setRemote({ address: OTHER, port: gone.port, latch: 'any', peer: CALLER });
    peers.pop()?.close();
    for (let i = 0; i < 50; i++) bench.endpoint.send(rtp(i));
    await caller.send(rtp(2), bench.endpoint.port);
    await settle(bench, 1);
    expect(bench.delivered).toEqual([2]);
    expect(bench.endpoint.stats.sent).toBe(50);
  });

  it('is not disturbed by datagrams of any content, from its own source or others', async () => {
    const bench = await newBench();
    const [caller, stranger] = [await newPeer(CALLER), await newPeer(STRANGER)];
    bench.endpoint.setRemote({ address: CALLER, port: caller.port, latch: 'any' });
    const random = seededRandom(11);
    let sent = 0;
    for (let i = 0; i < 1000; i++) {
      const junk = Buffer.from(Array.from({ length: Math.floor(random() * 60) }, () => Math.floor(random() * 256)));
      junk[0] = 0x00;
      await caller.send(junk, bench.endpoint.port);
      await caller.send(rtp(i), bench.endpoint.port);
      await stranger.send(rtp(60_000), bench.endpoint.port);
      await settle(bench, (sent += 3));
    }
    expect(bench.delivered).toEqual(Array.from({ length: 1000 }, (_, i) => i));
    expect(bench.endpoint.stats).toMatchObject({ malformed: 1000, ignoredSource: 1000 });
  });

  it('takes a datagram of 65,507 bytes', async () => {
    const bench = await newBench();
    const caller = await newPeer(CALLER);
    bench.endpoint.setRemote({ address: CALLER, port: caller.port, latch: 'any' });
    await caller.send(Buffer.concat([rtp(1), Buffer.alloc(65_507 - 172)]), bench.endpoint.port);
    await settle(bench, 1);
    expect(bench.delivered).toEqual([1]);
  });

  it('speaks IPv6, however the address is spelled', async () => {
    const bench = await newBench('::1');
    const caller = await newPeer('::1');
    bench.endpoint.setRemote({ address: '0:0:0:0:0:0:0:1', port: caller.port, latch: 'expected' });
    await caller.send(rtp(1), bench.endpoint.port, '::1');
    await settle(bench, 1);
    expect(bench.delivered).toEqual([1]);
    bench.endpoint.send(rtp(2));
    expect(await caller.next()).toEqual(rtp(2));
  });

  it('speaks IPv4 on a socket for both', async () => {
    const bench = await newBench('::');
    const caller = await newPeer(CALLER);
    bench.endpoint.setRemote({ address: CALLER, port: caller.port, latch: 'expected' });
    bench.endpoint.send(rtp(1));
    expect(await caller.next()).toEqual(rtp(1));
    await caller.send(rtp(2), bench.endpoint.port);
    await settle(bench, 1);
    expect(bench.delivered).toEqual([2]);
  });

  it('closes once, frees the port for the system at once, and is silent afterwards', async () => {
    const bench = await newBench();
    const caller = await newPeer(CALLER);
    bench.endpoint.setRemote({ address: CALLER, port: caller.port, latch: 'any' });
    await caller.send(rtp(1), bench.endpoint.port);
    bench.endpoint.close();
    bench.endpoint.close();
    bench.endpoint.send(rtp(2));
    for (const port of [bench.endpoint.port, bench.endpoint.port + 1]) {
      const again = createSocket('udp4').bind(port, CALLER);
      await once(again, 'listening');
      again.close();
    }
    expect(bench.delivered).toEqual([]);
    expect(bench.endpoint.stats.sent).toBe(0);
    expect(bench.pool).toMatchObject({ inUse: 0, free: 1000 });
  });
});

describe('RtpEndpoint, RTCP', () => {
  const report = (ssrc: number): Buffer => writeRtcp({ ssrc, cname: 'phone' });

  async function settleRtcp({ endpoint }: Bench, count: number): Promise<void> {
    while (endpoint.stats.rtcp < count) await nextTurn();
  }

  it('goes to the port after the RTP, then to where the other side sends its own from', async () => {
    const bench = await newBench();
    const [caller, rtcp, after] = await newPair(OTHER);
    bench.endpoint.setRemote({ address: OTHER, port: caller.port, latch: 'any' });
    bench.endpoint.sendRtcp(report(1));
    expect(await after.next()).toEqual(report(1));
    await rtcp.send(report(2), bench.endpoint.port + 1);
    await settleRtcp(bench, 1);
    expect(bench.rtcp).toEqual([report(2)]);
    bench.endpoint.sendRtcp(report(3));
    expect(await rtcp.next()).toEqual(report(3));
    expect(bench.endpoint.stats).toMatchObject({ received: 0, rtcp: 1, ignoredRtcp: 0 });
  });

  it('goes where the SDP says it is', async () => {
    const bench = await newBench();
    const [caller, rtcp] = [await newPeer(CALLER), await newPeer(CALLER)];
    const told = { address: CALLER, port: rtcp.port };
    bench.endpoint.setRemote({ address: CALLER, port: caller.port, latch: 'any', rtcp: told });
    bench.endpoint.sendRtcp(report(1));
    expect(await rtcp.next()).toEqual(report(1));
  });

  it('shares the port of the RTP when that was agreed on', async () => {
    const bench = await newBench();
    const caller = await newPeer(CALLER);
    bench.endpoint.setRemote({ address: CALLER, port: caller.port, latch: 'any', rtcp: 'mux' });
    await caller.send(rtp(1), bench.endpoint.port);
    await caller.send(report(2), bench.endpoint.port);
    await settle(bench, 2);
    expect([bench.delivered, bench.rtcp]).toEqual([[1], [report(2)]]);
    bench.endpoint.sendRtcp(report(3));
    expect(await caller.next()).toEqual(report(3));
    expect(bench.endpoint.stats).toMatchObject({ malformed: 0, rtcp: 1, sent: 0 });
  });

  it('is not needed of who keeps a NAT open by something else, from where ours goes to', async () => {
    const bench = await newBench('0.0.0.0');
    const [caller, stranger] = [await newPeer(CALLER), await newPeer(STRANGER)];
    bench.endpoint.setRemote({ address: CALLER, port: caller.port, latch: 'any', peer: CALLER });
    const keepAlives = [Buffer.alloc(4), Buffer.from('000100002112a442000102030405060708090a0b', 'hex'), rtp(1, 77)];
    for (const bytes of keepAlives) await stranger.send(bytes, bench.endpoint.port);
    await settle(bench, 3);
    expect(bench.keepAlives).toEqual([]);
    for (const bytes of keepAlives) await caller.send(bytes, bench.endpoint.port);
    await settle(bench, 6);
    expect(bench.keepAlives).toHaveLength(3);
    expect(bench.delivered).toEqual([]);
  });

  it('is taken from the host of the RTP alone, on either port', async () => {
    const bench = await newBench('0.0.0.0');
    const [caller, stranger] = [await newPeer(OTHER), await newPeer(STRANGER)];
    await stranger.send(report(0), bench.endpoint.port + 1);
    await settleRtcp(bench, 1);
    bench.endpoint.setRemote({ address: OTHER, port: caller.port, latch: 'any' });
    await caller.send(rtp(1), bench.endpoint.port);
    await stranger.send(report(1), bench.endpoint.port + 1);
    await stranger.send(report(2), bench.endpoint.port);
    await settleRtcp(bench, 3);
    expect(bench.rtcp).toEqual([]);
    expect(bench.endpoint.stats).toMatchObject({ rtcp: 3, ignoredRtcp: 3, ignoredSource: 0 });
    // A stranger's RTCP neither takes ours over nor locks a source.
    expect(bench.endpoint.stats.source).toEqual({ address: OTHER, port: caller.port });
  });

  it('goes nowhere while nobody knows where, and not after the end', async () => {
    const bench = await newBench();
    bench.endpoint.sendRtcp(report(1));
    const [caller, , after] = await newPair(OTHER);
    bench.endpoint.setRemote({ address: OTHER, port: caller.port, latch: 'any' });
    bench.endpoint.sendRtcp(report(2));
    bench.endpoint.close();
    bench.endpoint.sendRtcp(report(3));
    // What was handed over before the end still leaves.
    expect(await after.next()).toEqual(report(2));
    await nextTurn();
    expect(after.received).toEqual([]);
  });

  /** Sockets on a port, on any other one, and on the one after the first. */
  async function newPair(address: string): Promise<[Peer, Peer, Peer]> {
    for (;;) {
      const first = await newPeer(address);
      try {
        return [first, await newPeer(address), await newPeer(address, first.port + 1)];
      } catch {
        // Somebody has the port after it.
      }
    }
  }
});

describe('RtpEndpoint.open', () => {
  const open = (pool: PortPool, bindAddress = CALLER): Promise<RtpEndpoint> =>
    RtpEndpoint.open({ bindAddress, pool, clock, logger, isPlausible: () => true, onPacket: () => undefined });

  /** Has ports taken by somebody else. */
  async function occupy(ports: number[]): Promise<void> {
    await Promise.all(ports.map((port) => newPeer(CALLER, port)));
  }

  it('passes over ports that somebody else has', async () => {
    // The even port of one pair, the odd one of another.
    await occupy([17_000, 17_003]);
    const pool = new PortPool({ minPort: 17_000, maxPort: 17_005 });
    const endpoint = await open(pool);
    expect(endpoint.port).toBe(17_004);
    expect(pool).toMatchObject({ inUse: 1, free: 2 });
    await expect(open(pool)).rejects.toMatchObject({ name: 'RtpOpenError', code: 'no-free-port' });
    endpoint.close();
    expect(pool).toMatchObject({ inUse: 0, free: 3 });
  });

  it('gives up after a number of them', async () => {
    await occupy(Array.from({ length: 17 }, (_, i) => 17_100 + 2 * i));
    const pool = new PortPool({ minPort: 17_100, maxPort: 17_133 });
    await expect(open(pool)).rejects.toThrow(/in use by other programs/);
    expect(pool).toMatchObject({ inUse: 0, free: 17 });
  });

  it('says why the system refuses, and keeps no port', async () => {
    const pool = newPool();
    // An address for documentation (RFC 5737) that no interface has.
    const error: unknown = await open(pool, '203.0.113.1').catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(RtpOpenError);
    expect(error).toMatchObject({ code: 'bind-failed', cause: { code: 'EADDRNOTAVAIL' } });
    expect(pool).toMatchObject({ inUse: 0, free: 1000 });
  });

  it('opens and closes a thousand times without leaving anything', async () => {
    const pool = newPool();
    for (let i = 0; i < 1000; i++) {
      const endpoint = await open(pool);
      clock.advance(20);
      endpoint.close();
    }
    expect(pool).toMatchObject({ inUse: 0, free: 1000 });
  });
});

describe('an RtpEndpoint that may connect', () => {
  /** An endpoint that has heard `caller` for long enough, and been told that it may connect. */
  async function connected(bindAddress = '127.0.0.1'): Promise<{ bench: Bench; caller: Peer; stranger: Peer }> {
    const bench = await newBench(bindAddress);
    const [caller, stranger] = [await newPeer(CALLER), await newPeer(STRANGER)];
    bench.endpoint.setRemote({ address: CALLER, port: caller.port, latch: 'any' });
    await caller.send(rtp(1), bench.endpoint.port);
    await settle(bench, 1);
    clock.advance(1_000);
    await caller.send(rtp(2), bench.endpoint.port);
    await settle(bench, 2);
    bench.endpoint.tick(clock.nowMs(), true);
    return { bench, caller, stranger };
  }

  it('hears and sends as before, and no stranger reaches it', async () => {
    const { bench, caller, stranger } = await connected();
    await stranger.send(rtp(3), bench.endpoint.port);
    await caller.send(rtp(4), bench.endpoint.port);
    await settle(bench, 3);
    bench.endpoint.send(rtp(10));
    expect(await caller.next()).toEqual(rtp(10));
    expect(bench.delivered).toEqual([1, 2, 4]);
    expect(bench.endpoint.stats).toMatchObject({ received: 3, ignoredSource: 0, sent: 1, sendErrors: 0 });
  });

  it('sends RTCP on the same port where that was agreed on', async () => {
    const { bench, caller } = await connected();
    bench.endpoint.setRemote({ address: CALLER, port: caller.port, latch: 'any', rtcp: 'mux' });
    bench.endpoint.sendRtcp(Buffer.from('report'));
    expect((await caller.next()).toString()).toBe('report');
  });

  it('listens to all again when the source falls silent, and follows it to another address', async () => {
    const { bench } = await connected();
    const moved = await newPeer(CALLER);
    clock.advance(500);
    bench.endpoint.tick(clock.nowMs(), true);
    await moved.send(rtp(3), bench.endpoint.port);
    await settle(bench, 3);
    expect(bench.endpoint.stats.ignoredSource).toBe(1);
    clock.advance(500);
    for (let i = 4; i <= 7; i++) await moved.send(rtp(i), bench.endpoint.port);
    await settle(bench, 7);
    expect(bench.delivered).toEqual([1, 2, 4, 5, 6, 7]);
    bench.endpoint.send(rtp(10));
    expect(await moved.next()).toEqual(rtp(10));
  });

  it('moves with a re-INVITE at once', async () => {
    const { bench } = await connected();
    const other = await newPeer(CALLER);
    bench.endpoint.setRemote({ address: CALLER, port: other.port, latch: 'any' });
    bench.endpoint.send(rtp(10));
    expect(await other.next()).toEqual(rtp(10));
    await other.send(rtp(3), bench.endpoint.port);
    await settle(bench, 3);
    expect(bench.delivered).toEqual([1, 2, 3]);
  });

  it('does not before the source is past its probation, nor bound to all addresses, nor when it may not', async () => {
    const { bench, stranger } = await connected('0.0.0.0');
    await stranger.send(rtp(3), bench.endpoint.port);
    await settle(bench, 3);
    expect(bench.endpoint.stats.ignoredSource).toBe(1);

    const young = await newBench();
    const caller = await newPeer(CALLER);
    young.endpoint.setRemote({ address: CALLER, port: caller.port, latch: 'any' });
    await caller.send(rtp(1), young.endpoint.port);
    await settle(young, 1);
    young.endpoint.tick(clock.nowMs(), true);
    await stranger.send(rtp(2), young.endpoint.port);
    await settle(young, 2);
    clock.advance(1_000);
    await caller.send(rtp(3), young.endpoint.port);
    await settle(young, 3);
    young.endpoint.tick(clock.nowMs(), false);
    await stranger.send(rtp(4), young.endpoint.port);
    await settle(young, 4);
    expect(young.endpoint.stats.ignoredSource).toBe(2);
  });

  it('bears being closed while it learns that nobody listens any more', async () => {
    const { bench, caller } = await connected();
    caller.close();
    peers.splice(peers.indexOf(caller), 1);
    await nextTurn();
    bench.endpoint.send(rtp(10));
    bench.endpoint.send(rtp(11));
    bench.endpoint.close();
    bench.endpoint.tick(clock.nowMs(), true);
    await nextTurn();
    expect(bench.endpoint.stats).toMatchObject({ sent: 2, sendErrors: 0 });
  });

  it('bears a caller whose port nobody listens on, and does not connect to it again', async () => {
    const { bench, caller, stranger } = await connected();
    caller.close();
    peers.splice(peers.indexOf(caller), 1);
    await nextTurn();
    for (let i = 0; i < 5; i++) {
      bench.endpoint.send(rtp(10 + i));
      await nextTurn();
    }
    expect(bench.endpoint.stats).toMatchObject({ sent: 5, sendErrors: 0 });
    expect(lines.filter(({ event }) => event === 'rtp.socket-error')).toEqual([]);
    bench.endpoint.tick(clock.nowMs(), true);
    await stranger.send(rtp(3), bench.endpoint.port);
    await settle(bench, 3);
    expect(bench.endpoint.stats.ignoredSource).toBe(1);
  });
});
