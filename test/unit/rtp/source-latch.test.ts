import { describe, expect, it } from 'vitest';
import { SourceLatch, type LatchMode, type TransportAddress } from '../../../src/rtp/source-latch.js';

const SDP = { address: '192.0.2.10', port: 4000 };
const PRIVATE = { address: '10.9.9.9', port: 4444 };
const PEER = '198.51.100.1';
/** A phone behind the NAT its SIP comes from. */
const NAT = { address: PEER, port: 33_333 };
/** A media relay in the network of the SIP proxy, and one elsewhere. */
const RELAY = { address: '198.51.100.77', port: 20_000 };
const FAR_RELAY = { address: '203.0.113.5', port: 20_000 };
const MOVED = { address: '203.0.113.200', port: 5000 };
const STRANGER = { address: '203.0.113.66', port: 666 };
const BYTES = Buffer.alloc(172);

/** A stream of packets, 20 ms apart unless it says otherwise. */
interface Speaker {
  readonly at: TransportAddress;
  readonly fromMs: number;
  readonly toMs: number;
  readonly everyMs?: number;
  readonly ssrc?: number;
  readonly sequence?: number;
}

interface Heard {
  /** Packets taken of each speaker. */
  readonly taken: number[];
  /** When each was taken first and last. */
  readonly firstMs: (number | undefined)[];
  readonly lastMs: (number | undefined)[];
}

/** Lets speakers send as the endpoint hears them, until the last has ended. `at`: things to do at a time. */
function play(latch: SourceLatch, speakers: readonly Speaker[], at: Record<number, () => void> = {}): Heard {
  const heard: Heard = {
    taken: speakers.map(() => 0),
    firstMs: speakers.map(() => undefined),
    lastMs: speakers.map(() => undefined),
  };
  const untilMs = Math.max(...speakers.map(({ toMs }) => toMs));
  for (let nowMs = Math.min(...speakers.map(({ fromMs }) => fromMs)); nowMs <= untilMs; nowMs++) {
    at[nowMs]?.();
    for (const [i, { at: from, fromMs, toMs, everyMs = 20, ssrc = i + 1, sequence = 100 }] of speakers.entries()) {
      if (nowMs < fromMs || nowMs >= toMs || (nowMs - fromMs) % everyMs !== 0) continue;
      const position = { ssrc, sequenceNumber: (sequence + (nowMs - fromMs) / everyMs) & 0xffff };
      const count = arrive(latch, from, position, nowMs);
      if (count === 0) continue;
      heard.taken[i] = (heard.taken[i] ?? 0) + count;
      heard.firstMs[i] ??= nowMs;
      heard.lastMs[i] = nowMs;
    }
  }
  return heard;
}

/** As the endpoint does. Returns how many packets are the call's by it. */
function arrive(
  latch: SourceLatch,
  from: TransportAddress,
  position: { ssrc: number; sequenceNumber: number },
  nowMs: number,
): number {
  switch (latch.standing(from.address, from.port, nowMs)) {
    case 'refused':
      return 0;
    case 'current':
      latch.heard(position, nowMs);
      return 1;
    case 'open':
      return latch.hear(position, from, BYTES, nowMs).length;
  }
}

const one = (latch: SourceLatch, from: TransportAddress, nowMs: number, sequenceNumber = 1): boolean =>
  arrive(latch, from, { ssrc: 7, sequenceNumber }, nowMs) > 0;

function expecting(signalled: TransportAddress | undefined, peer: string | undefined = PEER, mode: LatchMode = 'any') {
  const latch = new SourceLatch();
  latch.expect({ signalled, mode, peer }, 0);
  return latch;
}

describe('SourceLatch, closed and open', () => {
  it('admits nobody, and sends nowhere, before anything is known', () => {
    const latch = new SourceLatch();
    expect(play(latch, [{ at: SDP, fromMs: 0, toMs: 1_000 }]).taken).toEqual([0]);
    expect(latch.target).toBeUndefined();
  });

  it.each([
    ["the SDP's address", SDP],
    ['another port of it', { ...SDP, port: 4002 }],
    ["the SIP's address", NAT],
  ])('takes %s at its first packet', (_, at) => {
    const latch = expecting(SDP);
    expect(latch.target).toEqual(SDP);
    expect(one(latch, at, 10)).toBe(true);
    expect(latch.target).toEqual(at);
    expect(latch.source).toEqual(at);
  });

  it('takes others after several consecutive packets, and loses none of them', () => {
    const latch = expecting(PRIVATE);
    expect(play(latch, [{ at: RELAY, fromMs: 0, toMs: 2_000 }])).toMatchObject({ taken: [100], firstMs: [60] });
  });

  it('takes others whose packets all come twice', () => {
    const speakers = [steady(RELAY, 0, 2_000, { ssrc: 5 }), steady(RELAY, 3, 2_003, { ssrc: 5 })];
    const heard = play(expecting(PRIVATE), speakers);
    expect(heard.firstMs[0]).toBe(60);
    expect((heard.taken[0] ?? 0) + (heard.taken[1] ?? 0)).toBeGreaterThan(190);
  });

  it.each([
    ['that come singly', { everyMs: 900 }],
    ['with gaps', { everyMs: 250 }],
  ])('does not take others for packets %s', (_, speaker) =>
    expect(play(expecting(SDP), [{ at: STRANGER, fromMs: 0, toMs: 20_000, ...speaker }]).taken).toEqual([0]),
  );

  it('does not take others whose packets do not follow each other', () => {
    const latch = expecting(SDP);
    for (let i = 0; i < 100; i++) expect(one(latch, STRANGER, 20 * i, 1 + 2 * (i % 3))).toBe(false);
    for (let i = 0; i < 100; i++) {
      expect(arrive(latch, STRANGER, { ssrc: i, sequenceNumber: i }, 3_000 + 20 * i)).toBe(0);
    }
  });

  it('never takes port 0, which cannot be sent to', () => {
    const latch = expecting(SDP);
    expect(one(latch, { ...SDP, port: 0 }, 0)).toBe(false);
    expect(latch.target).toEqual(SDP);
  });

  it('knows whether it sends to the host of the SIP', () => {
    const latch = expecting(SDP);
    expect(latch.isTargetPeer).toBe(false);
    one(latch, NAT, 0);
    expect(latch.isTargetPeer).toBe(true);
    expect(expecting(NAT).isTargetPeer).toBe(true);
    expect(new SourceLatch().isTargetPeer).toBe(false);
  });

  it("admits only the SDP's host when told so", () => {
    const latch = expecting(SDP, undefined, 'expected');
    expect(play(latch, [{ at: STRANGER, fromMs: 0, toMs: 5_000 }]).taken).toEqual([0]);
    expect(one(latch, { ...SDP, port: 4444 }, 6_000)).toBe(true);
    expect(one(latch, SDP, 6_001)).toBe(true);
    expect(latch.target).toEqual(SDP);
  });

  it('knows addresses of IPv6, whose zone no SDP tells', () => {
    const signalled = { address: 'fe80::1', port: 4000 };
    const latch = expecting(signalled, 'fe80::2%eth0');
    expect(one(latch, { address: 'fe80::2%eth0', port: 7 }, 0)).toBe(true);
    expect(one(latch, { address: '2001:db8::66', port: 7 }, 1)).toBe(false);
    expect(one(latch, { address: 'fe80::1%eth0', port: 4000 }, 2)).toBe(true);
    expect(latch.target).toEqual({ address: 'fe80::1%eth0', port: 4000 });
  });
});

/** Everybody who is not the caller, and what may be heard of whom. */
interface Contest {
  readonly name: string;
  readonly signalled: TransportAddress;
  readonly caller: Speaker[];
  readonly others: Speaker[];
  /** Of the caller's packets, how many may be missed; and how many of the others' may be taken. */
  readonly missed: number;
  readonly mistaken: number;
}

const steady = (at: TransportAddress, fromMs: number, toMs: number, rest: Partial<Speaker> = {}): Speaker => ({
  ...{ at, fromMs, toMs },
  ...rest,
});

/** One who is taken, and as many who send whole streams as are learned at once. */
const CROWD = Array.from({ length: 33 }, (_, i) => steady({ address: `203.0.113.${i}`, port: 7 }, 5 * i, 2_000));

const CONTESTS: Contest[] = [
  {
    name: 'a stranger comes while the caller talks',
    ...{ signalled: SDP, caller: [steady(SDP, 0, 7_000)], others: [steady(STRANGER, 1_500, 7_000)] },
    ...{ missed: 0, mistaken: 0 },
  },
  {
    name: "a stranger is first, and the SDP's address late",
    ...{ signalled: SDP, caller: [steady(SDP, 10_000, 17_000)], others: [steady(STRANGER, 0, 17_000)] },
    ...{ missed: 0, mistaken: 500 },
  },
  {
    name: 'several strangers are first, and the caller behind NAT late',
    signalled: PRIVATE,
    caller: [steady(NAT, 3_000, 9_000)],
    others: [66, 67, 68, 69].map((last, i) => steady({ address: `203.0.113.${last}`, port: 9 + i }, i, 9_000)),
    ...{ missed: 0, mistaken: 160 },
  },
  {
    name: 'a stranger is first, a media relay near the SIP late',
    ...{ signalled: PRIVATE, caller: [steady(RELAY, 300, 7_000)], others: [steady(STRANGER, 0, 7_000)] },
    ...{ missed: 0, mistaken: 18 },
  },
  {
    name: 'a stranger sends a packet each 900 ms, from before the caller on',
    ...{ signalled: PRIVATE, caller: [steady(FAR_RELAY, 1_000, 7_000)] },
    ...{ others: [steady(STRANGER, 0, 7_000, { everyMs: 900 })], missed: 0, mistaken: 0 },
  },
  {
    name: "a stranger at the SIP's address sends a packet each 900 ms",
    ...{ signalled: PRIVATE, caller: [steady(NAT, 1_000, 7_000)] },
    ...{ others: [steady({ ...NAT, port: 1 }, 0, 7_000, { everyMs: 900 })], missed: 0, mistaken: 2 },
  },
  {
    name: 'a stray stream that has ended, and the caller behind NAT',
    ...{ signalled: PRIVATE, caller: [steady(NAT, 2_500, 6_000)] },
    ...{ others: [steady(STRANGER, 0, 1_500)], missed: 0, mistaken: 75 },
  },
  {
    name: 'a stray stream that has ended, and a caller no address of whom is known',
    ...{ signalled: PRIVATE, caller: [steady(FAR_RELAY, 2_500, 6_000)] },
    ...{ others: [steady(STRANGER, 0, 1_500)], missed: 30, mistaken: 75 },
  },
  {
    name: 'a stranger with another SSRC, while the caller is silent',
    ...{ signalled: SDP, caller: [steady(SDP, 0, 2_000, { ssrc: 5 }), steady(SDP, 22_000, 25_000, { ssrc: 5 })] },
    ...{ others: [steady(STRANGER, 2_000, 25_000)], missed: 0, mistaken: 0 },
  },
  {
    name: "a stranger with the caller's SSRC and a sequence of his own, while the caller is silent",
    ...{ signalled: SDP, caller: [steady(SDP, 0, 2_000, { ssrc: 5 }), steady(SDP, 5_000, 8_000, { ssrc: 5 })] },
    ...{ others: [steady(STRANGER, 2_000, 8_000, { ssrc: 5, sequence: 30_000 })], missed: 0, mistaken: 0 },
  },
  {
    name: "a stranger who goes on with the caller's own stream, while the caller is silent",
    ...{ signalled: SDP, caller: [steady(SDP, 0, 2_000, { ssrc: 5 }), steady(SDP, 5_000, 8_000, { ssrc: 5 })] },
    ...{ others: [steady(STRANGER, 2_000, 8_000, { ssrc: 5, sequence: 200 })], missed: 0, mistaken: 104 },
  },
  {
    name: 'the same, and the caller is known by nothing but having been heard',
    signalled: PRIVATE,
    caller: [steady(FAR_RELAY, 0, 4_000, { ssrc: 5 }), steady(FAR_RELAY, 7_000, 9_000, { ssrc: 5, sequence: 300 })],
    others: [steady(STRANGER, 4_000, 9_000, { ssrc: 5, sequence: 300 })],
    ...{ missed: 0, mistaken: 104 },
  },
  {
    name: "a stranger at the caller's address, another port, while the caller is silent",
    ...{ signalled: SDP, caller: [steady(SDP, 0, 2_000, { ssrc: 5 }), steady(SDP, 4_500, 7_000, { ssrc: 5 })] },
    ...{ others: [steady({ ...SDP, port: 1 }, 2_000, 7_000)], missed: 0, mistaken: 30 },
  },
  {
    name: 'the caller changes its SSRC and begins its sequence anew, among strangers',
    ...{
      signalled: PRIVATE,
      caller: [steady(NAT, 0, 2_000, { ssrc: 5 }), steady(NAT, 2_000, 4_000, { ssrc: 6, sequence: 9 })],
    },
    ...{ others: [steady(STRANGER, 100, 4_000), steady({ ...NAT, port: 1 }, 500, 4_000)], missed: 0, mistaken: 0 },
  },
  {
    name: 'a stranger proves himself before the caller begins, and sends a packet each 900 ms from then on',
    ...{ signalled: PRIVATE, caller: [steady(FAR_RELAY, 1_000, 7_000, { ssrc: 5 })] },
    others: [steady(STRANGER, 0, 80), steady(STRANGER, 900, 7_000, { everyMs: 900, sequence: 200 })],
    ...{ missed: 10, mistaken: 6 },
  },
  {
    name: 'a stranger sends for longer than the caller has talked, while the caller is silent',
    signalled: PRIVATE,
    caller: [steady(FAR_RELAY, 0, 6_000, { ssrc: 5 }), steady(FAR_RELAY, 60_000, 70_000, { ssrc: 5 })],
    others: [steady(STRANGER, 6_000, 70_000)],
    ...{ missed: 0, mistaken: 2_500 },
  },
  {
    name: 'the same, and the stranger is near the SIP',
    signalled: PRIVATE,
    caller: [steady(FAR_RELAY, 0, 6_000, { ssrc: 5 }), steady(FAR_RELAY, 60_000, 70_000, { ssrc: 5 })],
    others: [steady(RELAY, 6_000, 70_000)],
    ...{ missed: 0, mistaken: 2_500 },
  },
  {
    name: 'a stranger comes soon after the caller, whose address has a few more bits in common with that of the SIP',
    ...{ signalled: PRIVATE, caller: [steady(FAR_RELAY, 0, 6_000)] },
    ...{ others: [steady({ address: '198.60.1.1', port: 9 }, 500, 6_000)], missed: 0, mistaken: 0 },
  },
  {
    name: "as many strangers as are learned at once send whole streams, and the SDP's address is late",
    ...{ signalled: SDP, caller: [steady(SDP, 300, 2_000)] },
    others: CROWD,
    ...{ missed: 0, mistaken: 20 },
  },
  {
    name: 'the same, and the caller is behind the NAT that its SIP comes from',
    ...{ signalled: PRIVATE, caller: [steady(NAT, 300, 2_000)] },
    others: CROWD,
    ...{ missed: 0, mistaken: 20 },
  },
  {
    name: 'a flood from thousands of addresses',
    ...{ signalled: PRIVATE, caller: [steady(FAR_RELAY, 100, 2_000)] },
    others: Array.from({ length: 2_000 }, (_, i) =>
      steady({ address: `203.0.${i >> 8}.${i & 255}`, port: 7 }, i, i + 1),
    ),
    ...{ missed: 0, mistaken: 0 },
  },
];

describe('SourceLatch, when others send too', () => {
  it.each(CONTESTS)('$name', ({ signalled, caller, others, missed, mistaken }) => {
    const latch = expecting(signalled);
    const { taken } = play(latch, [...caller, ...others]);
    const sum = (counts: number[]): number => counts.reduce((a, b) => a + b, 0);
    const sent = caller.reduce((n, { fromMs, toMs, everyMs = 20 }) => n + Math.ceil((toMs - fromMs) / everyMs), 0);
    expect(sent - sum(taken.slice(0, caller.length))).toBeLessThanOrEqual(missed);
    expect(sum(taken.slice(caller.length))).toBeLessThanOrEqual(mistaken);
    expect(latch.source).toEqual(caller.at(-1)?.at);
  });

  it("hears the SDP's address at once however long it has been silent, and whoever has been heard meanwhile", () => {
    const latch = expecting(SDP);
    play(latch, [steady(NAT, 0, 60_000)]);
    expect(one(latch, SDP, 3_600_000)).toBe(true);
    expect(latch.target).toEqual(SDP);
  });

  it('lets a source at a better address take the place of a stranger once it fits, with all that it has said', () => {
    const latch = expecting(PRIVATE);
    const { taken, lastMs } = play(latch, [steady(STRANGER, 0, 2_000), steady(NAT, 1_000, 2_000)]);
    expect(taken[1]).toBe(50);
    expect(lastMs[0]).toBeLessThan(1_080);
  });
});

describe('SourceLatch, when the source moves', () => {
  it.each([
    ['to another port of its address', { ...SDP, port: 4002 }],
    ['to another network', MOVED],
  ])('follows it %s within a second and a bit', (_, to) => {
    const latch = expecting(SDP);
    const before = steady(SDP, 0, 4_000, { ssrc: 5 });
    const heard = play(latch, [before, steady(to, 4_000, 8_000, { ssrc: 5, sequence: 300 })]);
    expect(heard.firstMs[1]).toBeGreaterThanOrEqual(4_900);
    expect(heard.firstMs[1]).toBeLessThanOrEqual(5_060);
    expect(latch.target).toEqual(to);
  });

  it('follows another stream of the same host, after as much silence as there was sound, and 5 s at most', () => {
    for (const [soundMs, silenceMs] of [
      [3_000, 3_000],
      [60_000, 5_000],
    ] as const) {
      const latch = expecting(PRIVATE);
      const next = steady({ ...NAT, port: 2 }, soundMs, soundMs + 8_000);
      const [, firstMs = 0] = play(latch, [steady(NAT, 0, soundMs), next]).firstMs;
      expect(firstMs - soundMs).toBeGreaterThan(silenceMs - 100);
      expect(firstMs - soundMs).toBeLessThan(silenceMs + 100);
    }
  });
});

describe('SourceLatch, when the SDP names another address', () => {
  const renamed = (latch: SourceLatch, signalled: TransportAddress | undefined, nowMs: number): (() => void) => {
    return () => latch.expect({ signalled, mode: 'any', peer: PEER }, nowMs);
  };

  it('hears it at its first packet, and the one named before no more, from whichever of the two packets come', () => {
    const latch = expecting(SDP);
    const speakers = [steady(SDP, 0, 20_000), steady(MOVED, 8_000, 12_000)];
    const heard = play(latch, speakers, { 5_000: renamed(latch, MOVED, 5_000) });
    expect(heard).toMatchObject({ taken: [250, 200], firstMs: [0, 8_000], lastMs: [4_980, 11_980] });
    expect(latch.target).toEqual(MOVED);
    latch.expect({ signalled: SDP, mode: 'any', peer: PEER }, 20_000);
    expect(one(latch, SDP, 20_000)).toBe(true);
  });

  it('does not hear an address named before even if it has never spoken, at the very host of the SIP', () => {
    const [first, second] = [NAT, { ...NAT, port: 5 }];
    const latch = expecting(first);
    latch.expect({ signalled: second, mode: 'any', peer: PEER }, 100);
    expect(play(latch, [steady(first, 200, 9_000)]).taken).toEqual([0]);
    expect(latch.target).toEqual(second);
  });

  it('hears one that no SDP has ever named again after a second: it is behind a NAT, and only told so differently', () => {
    const latch = expecting(PRIVATE);
    const again = renamed(latch, { ...PRIVATE, port: 4_446 }, 5_000);
    const heard = play(latch, [steady(NAT, 0, 10_000)], { 5_000: again });
    expect(heard.taken).toEqual([450]);
  });

  it('stays as it is when the SDP says the same again, names the source itself, or none', () => {
    const latch = expecting(PRIVATE);
    const same = { 1_000: renamed(latch, { ...PRIVATE }, 1_000), 2_000: renamed(latch, undefined, 2_000) };
    const heard = play(latch, [steady(NAT, 0, 4_000)], { ...same, 3_000: renamed(latch, NAT, 3_000) });
    expect(heard.taken).toEqual([200]);
    expect(latch.target).toEqual(NAT);
  });

  it('lets an address named later take its place from a source that came before it was', () => {
    const latch = expecting(undefined);
    play(latch, [steady(RELAY, 0, 2_000)]);
    latch.expect({ signalled: SDP, mode: 'any', peer: PEER }, 2_000);
    expect(one(latch, RELAY, 2_001)).toBe(true);
    expect(one(latch, SDP, 2_002)).toBe(true);
    expect(one(latch, RELAY, 2_003)).toBe(false);
  });
});

describe('SourceLatch, settled', () =>
  it('is only on the very address of the SDP, after a second, while it sends', () => {
    const latch = expecting(SDP);
    play(latch, [steady(SDP, 0, 900)]);
    expect(latch.settled(900)).toBeUndefined();
    play(latch, [steady(SDP, 900, 2_000)]);
    expect(latch.settled(2_000)).toEqual(SDP);
    expect(latch.settled(2_500)).toBeUndefined();
    const behindNat = expecting(SDP);
    play(behindNat, [steady(NAT, 0, 2_000)]);
    expect(behindNat.settled(2_000)).toBeUndefined();
  }));

describe('SourceLatch, when another party takes the place of the one so far', () =>
  it('hears that one at once, and no more of who was there', () => {
    const latch = expecting(SDP);
    play(latch, [steady(SDP, 0, 1_000)]);
    latch.forget(1_000);
    expect(latch.target).toBeUndefined();
    latch.expect({ signalled: MOVED, mode: 'any', peer: PEER }, 1_000);
    expect(play(latch, [steady(SDP, 1_000, 9_000), steady(MOVED, 3_000, 5_000)]).taken).toEqual([0, 100]);
  }));

it.each([1, 2, 3])('delivers what came before the SDP that announces it: %i packets', (early) => {
  const latch = new SourceLatch();
  latch.expect({ signalled: undefined, mode: 'any' }, 0);
  const announce = (): void => latch.expect({ signalled: SDP, mode: 'any' }, 20 * early - 10);
  const { taken } = play(latch, [steady(SDP, 0, 1_000)], { [20 * early - 10]: announce });
  expect(taken).toEqual([50]);
});
