import { describe, expect, it } from 'vitest';
import type { MediaLeg } from '../../../src/media/engine.js';
import { MediaUnavailable } from '../../../src/media/engine.js';
import { SdpError } from '../../../src/media/sdp.js';
import { CallerMedia } from '../../../src/control/caller-media.js';
import { FakeBridgePool, type FakeBridge } from '../../support/fake-bridge-pool.js';
import { FakeLeg, mediaOn, type Pending } from '../../support/fake-leg.js';

/** Lets every promise that can go on do so. */
const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** A caller's media between a leg of the test's and a bridge of nobody's. */
class Bench {
  readonly losses: string[] = [];
  readonly offers: string[] = [];
  readonly bridge: FakeBridge;
  readonly media: CallerMedia;
  #reinvite: Pending<string> | undefined;

  constructor() {
    const pool = new FakeBridgePool();
    const handle = pool.open(() => undefined);
    const [bridge] = pool.bridges;
    if (!bridge) throw new Error('no bridge');
    this.bridge = bridge;
    this.media = new CallerMedia(handle, (detail) => this.losses.push(detail));
  }

  static async connected(leg: FakeLeg): Promise<Bench> {
    const bench = new Bench();
    expect(await bench.media.connect(leg.offer, 20_000, '198.51.100.4')).toBe(leg.localSdp);
    return bench;
  }

  readonly reinvite = (offer: string): Promise<string> => {
    this.offers.push(offer);
    return new Promise((resolve, reject) => (this.#reinvite = { resolve, reject }));
  };

  get pending(): Pending<string> {
    if (!this.#reinvite) throw new Error('no re-INVITE');
    return this.#reinvite;
  }

  /** The ports the bridge has been told to send to. */
  get ports(): (number | undefined)[] {
    return this.bridge.media.map(({ remote }) => remote?.port);
  }
}

function give(lost: FakeLeg, leg: MediaLeg): void {
  if (!lost.replacement) throw new Error('no replacement asked for');
  lost.replacement.resolve(leg);
}

describe('CallerMedia, connected', () => {
  it("tells the bridge at once when the offer was the caller's", async () => {
    const { media, ports } = await Bench.connected(new FakeLeg('a', mediaOn(4_000)));
    expect(ports).toEqual([4_000]);
    expect([media.agreed, media.codec]).toEqual([true, 'PCMU']);
    // The ACK to an answered offer says nothing.
    expect(await media.onAck(undefined)).toBe(false);
    expect(await media.onAck('late')).toBe(false);
  });

  it('tells the bridge when the ACK has brought the answer to our offer, once', async () => {
    const leg = new FakeLeg('a');
    const bench = await Bench.connected(leg);
    expect([bench.media.agreed, bench.ports]).toEqual([false, []]);
    expect(await bench.media.onAck('answer')).toBe(true);
    expect([leg.answers, bench.ports, bench.media.agreed]).toEqual([['answer'], [5_000], true]);
    expect(await bench.media.onAck('answer')).toBe(false);
    expect(leg.answers).toHaveLength(1);
  });

  it('cannot go on without an answer to our offer', async () => {
    const bench = await Bench.connected(new FakeLeg('a'));
    await expect(bench.media.onAck(undefined)).rejects.toThrow(SdpError);
    const leg = new FakeLeg('b');
    const unusable = await Bench.connected(leg);
    leg.fault = new SdpError('no media line');
    await expect(unusable.media.onAck('v=0')).rejects.toThrow('no media line');
    expect(unusable.ports).toEqual([]);
  });

  it('says what went wrong when there is no leg to be had', async () => {
    const bench = new Bench();
    const fault = new MediaUnavailable('no FreeSWITCH');
    await expect(bench.media.connect({ connect: () => Promise.reject(fault) }, 1, '')).rejects.toBe(fault);
    expect(await bench.media.onAck('x')).toBe(false);
    await bench.media.close();
  });

  it('knows nothing of a call that was never connected', async () => {
    const { media } = new Bench();
    expect([media.agreed, media.codec]).toEqual([false, undefined]);
    await expect(media.renegotiate({ offer: 'o', method: 'INVITE' })).rejects.toMatchObject({ status: 481 });
    await expect(media.replace(() => Promise.resolve(''))).rejects.toThrow('no leg');
  });
});

describe('CallerMedia, renegotiated', () => {
  it('answers, and tells the bridge', async () => {
    const leg = new FakeLeg('a', mediaOn(4_000));
    const { media, ports, bridge } = await Bench.connected(leg);
    expect(ports).toEqual([4_000]);
    leg.media = mediaOn(4_002);
    expect(await media.renegotiate({ offer: 'hold', method: 'INVITE' })).toBe('answer to hold');
    expect(await media.renegotiate({ offer: 'resume', method: 'UPDATE' })).toBe('answer to resume');
    expect(leg.offers).toEqual(['hold', 'resume']);
    expect(bridge.media.map(({ remote }) => remote?.port)).toEqual([4_000, 4_002, 4_002]);
  });

  it('refuses with 488 what the leg cannot speak, and leaves the bridge alone', async () => {
    const leg = new FakeLeg('a', mediaOn(4_000));
    const bench = await Bench.connected(leg);
    leg.fault = new SdpError('none of PCMU, PCMA');
    const refused = bench.media.renegotiate({ offer: 'o', method: 'INVITE' });
    await expect(refused).rejects.toMatchObject({ name: 'RenegotiationRefused', status: 488 });
    await expect(refused).rejects.toThrow('none of PCMU, PCMA');
    expect(bench.ports).toEqual([4_000]);
  });

  it('passes a fault of the media server on as what it is', async () => {
    const leg = new FakeLeg('a', mediaOn(4_000));
    const { media } = await Bench.connected(leg);
    leg.fault = new Error('FreeSWITCH fs:8021, re-INVITE: no answer within 3000 ms');
    await expect(media.renegotiate({ offer: 'o', method: 'INVITE' })).rejects.toBe(leg.fault);
  });

  it('makes the offer when the re-INVITE has none; an ACK without an answer leaves all as it was', async () => {
    const leg = new FakeLeg('a', mediaOn(4_000));
    const bench = await Bench.connected(leg);
    expect(await bench.media.renegotiate({ offer: undefined, method: 'INVITE' })).toBe('new sdp of a');
    expect(await bench.media.onAck(undefined)).toBe(false);
    expect(await bench.media.onAck('stray')).toBe(false);
    expect([leg.answers, bench.ports]).toEqual([[], [4_000]]);
    await bench.media.renegotiate({ offer: undefined, method: 'INVITE' });
    leg.media = mediaOn(4_004);
    expect(await bench.media.onAck('answer')).toBe(true);
    expect([leg.answers, bench.ports]).toEqual([['answer'], [4_000, 4_004]]);
  });

  it('says nothing to a session refresh', async () => {
    const bench = await Bench.connected(new FakeLeg('a', mediaOn(4_000)));
    expect(await bench.media.renegotiate({ offer: undefined, method: 'UPDATE' })).toBeUndefined();
    expect(await bench.media.onAck('not asked for')).toBe(false);
    expect(bench.ports).toEqual([4_000]);
  });
});

describe('CallerMedia, lost', () => {
  const lostLeg = async (): Promise<{ bench: Bench; lost: FakeLeg; next: FakeLeg }> => {
    const lost = new FakeLeg('lost', mediaOn(4_000));
    const bench = await Bench.connected(lost);
    lost.onLost?.('FreeSWITCH gone');
    expect(bench.losses).toEqual(['FreeSWITCH gone']);
    return { bench, lost, next: new FakeLeg('next') };
  };

  it('moves the caller to another leg, tells the bridge and lets go of the lost one', async () => {
    const { bench, lost, next } = await lostLeg();
    const replaced = bench.media.replace(bench.reinvite);
    give(lost, next);
    await settle();
    expect(bench.offers).toEqual([next.localSdp]);
    expect([lost.closes, bench.ports]).toEqual([0, [4_000]]);
    bench.pending.resolve('answer');
    await replaced;
    expect(next.answers).toEqual(['answer']);
    expect(bench.ports).toEqual([4_000, 5_000]);
    expect([lost.closes, next.closes]).toEqual([1, 0]);
    // All that follows is the new leg's.
    expect(await bench.media.renegotiate({ offer: 'hold', method: 'INVITE' })).toBe('answer to hold');
    expect([lost.offers, next.offers]).toEqual([[], ['hold']]);
    await bench.media.close();
    expect([lost.closes, next.closes]).toEqual([1, 1]);
  });

  it('may be lost again', async () => {
    const { bench, lost, next } = await lostLeg();
    const first = bench.media.replace(bench.reinvite);
    give(lost, next);
    await settle();
    bench.pending.resolve('first answer');
    await first;
    next.onLost?.('the other one, too');
    expect(bench.losses).toEqual(['FreeSWITCH gone', 'the other one, too']);
    const third = new FakeLeg('third', mediaOn(6_000));
    const second = bench.media.replace(bench.reinvite);
    give(next, third);
    await settle();
    bench.pending.resolve('second answer');
    await second;
    expect(bench.ports).toEqual([4_000, 5_000, 6_000]);
    await bench.media.close();
    expect([lost.closes, next.closes, third.closes]).toEqual([1, 1, 1]);
  });

  it('stays lost when there is nowhere to go', async () => {
    const { bench, lost } = await lostLeg();
    const replaced = bench.media.replace(bench.reinvite);
    lost.replacement?.reject(new MediaUnavailable('no FreeSWITCH'));
    await expect(replaced).rejects.toThrow(MediaUnavailable);
    expect([bench.offers, bench.ports]).toEqual([[], [4_000]]);
    await bench.media.close();
    expect(lost.closes).toBe(1);
  });

  it.each(['is refused', 'has an answer that cannot be used'])(
    'lets go of the new leg when the re-INVITE %s',
    async (what) => {
      const { bench, lost, next } = await lostLeg();
      const replaced = bench.media.replace(bench.reinvite);
      give(lost, next);
      await settle();
      if (what === 'is refused') bench.pending.reject(new Error('488 Not Acceptable Here'));
      else {
        next.fault = new SdpError('no media line');
        bench.pending.resolve('v=0');
      }
      await expect(replaced).rejects.toThrow(what === 'is refused' ? '488' : 'no media line');
      expect([lost.closes, next.closes, bench.ports]).toEqual([0, 1, [4_000]]);
      await bench.media.close();
      expect([lost.closes, next.closes]).toEqual([1, 1]);
    },
  );
});

describe('CallerMedia, closed', () => {
  it('lets go of its leg, again and again', async () => {
    const leg = new FakeLeg('a', mediaOn(4_000));
    const { media } = await Bench.connected(leg);
    await media.close();
    await media.close();
    expect(leg.closes).toBeGreaterThanOrEqual(1);
  });

  it('while the leg is being made: lets go of it when it is there, and tells nobody', async () => {
    const bench = new Bench();
    const leg = new FakeLeg('late', mediaOn(4_000));
    let made: (leg: MediaLeg) => void = () => undefined;
    const connected = bench.media.connect({ connect: () => new Promise((resolve) => (made = resolve)) }, 1, '');
    await bench.media.close();
    made(leg);
    await connected;
    expect([leg.closes, bench.ports]).toEqual([1, []]);
  });

  it('while another leg is being made: lets go of it when it is there, and troubles the caller no more', async () => {
    const lost = new FakeLeg('lost', mediaOn(4_000));
    const next = new FakeLeg('next');
    const bench = await Bench.connected(lost);
    const replaced = bench.media.replace(bench.reinvite);
    await bench.media.close();
    give(lost, next);
    await expect(replaced).rejects.toThrow('the call is over');
    expect([lost.closes, next.closes, bench.offers, bench.ports]).toEqual([1, 1, [], [4_000]]);
  });

  it.each(['comes', 'is a refusal'])(
    'while the caller is asked: lets go of both legs at once, before the answer %s',
    async (answer) => {
      const lost = new FakeLeg('lost', mediaOn(4_000));
      const next = new FakeLeg('next');
      const bench = await Bench.connected(lost);
      const replaced = bench.media.replace(bench.reinvite);
      give(lost, next);
      await settle();
      await bench.media.close();
      expect([lost.closes, next.closes]).toEqual([1, 1]);
      if (answer === 'comes') bench.pending.resolve('answer');
      else bench.pending.reject(new Error('481'));
      await expect(replaced).rejects.toThrow(answer === 'comes' ? 'the call is over' : '481');
      expect(bench.ports).toEqual([4_000]);
    },
  );

  it('while the new leg takes the answer: it is not brought to life', async () => {
    const lost = new FakeLeg('lost', mediaOn(4_000));
    const next = new FakeLeg('next', mediaOn(5_000));
    const bench = await Bench.connected(lost);
    const replaced = bench.media.replace(bench.reinvite);
    give(lost, next);
    await settle();
    bench.pending.resolve('answer');
    await bench.media.close();
    await expect(replaced).rejects.toThrow('the call is over');
    expect(next.closes).toBeGreaterThanOrEqual(1);
    expect(bench.ports).toEqual([4_000]);
  });
});
