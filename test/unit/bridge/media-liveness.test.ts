import { describe, expect, it } from 'vitest';
import { MediaLiveness } from '../../../src/bridge/media-liveness.js';

const RTP_TIMEOUT_MS = 30_000;
const TICK_MS = 20;

/** An answered call in virtual time, which sends a packet at each tick if it may. */
class Call {
  readonly liveness = new MediaLiveness(RTP_TIMEOUT_MS, 0);
  nowMs = 0;
  sent = 0;
  readonly timeouts: number[] = [];
  #isSending = false;

  constructor() {
    this.describe(true);
    this.liveness.start(0);
  }

  describe(isSending: boolean): void {
    this.#isSending = isSending;
    this.liveness.setSending(isSending, this.nowMs);
  }

  /** Returns how many packets have been sent meanwhile. */
  pass(ms: number, onTick: () => void = () => undefined): number {
    const before = this.sent;
    for (const untilMs = this.nowMs + ms; this.nowMs < untilMs; this.nowMs += TICK_MS) {
      onTick();
      if (this.#isSending && this.liveness.maySend()) this.sent += 1;
      if (this.liveness.timeout(this.nowMs) !== undefined) this.timeouts.push(this.nowMs);
    }
    return this.sent - before;
  }

  readonly sign = (): void => this.liveness.sign(this.nowMs);
}

const answered = (): Call => {
  const call = new Call();
  call.liveness.confirm();
  return call;
};

describe('MediaLiveness', () => {
  it('sends from the first packet on, two seconds of them while no ACK has come', () => {
    const call = new Call();
    expect(call.pass(400)).toBe(20);
    expect(call.pass(29_000)).toBe(80);
    call.liveness.confirm();
    expect(call.pass(400)).toBe(20);
  });

  it('needs no ACK from who has shown to be there', () => {
    const call = new Call();
    call.sign();
    expect(call.pass(20_000)).toBe(1_000);
  });

  it('sends eight seconds to who shows nothing, and tells of the silence in its time', () => {
    const call = answered();
    expect(call.pass(60_020)).toBe(400);
    expect(call.timeouts).toEqual([30_020, 60_040].filter((ms) => ms <= 60_000));
  });

  it('sends to the host that the ACK came from for as long as the call may be silent', () => {
    const call = answered();
    call.liveness.isTargetPeer = true;
    expect(call.pass(29_000)).toBe(1_450);
    for (let i = 0; i < 10; i++) {
      call.pass(6_000);
      call.describe(true);
      call.liveness.targetChanged();
    }
    expect(call.sent).toBe(1_500);
    expect(call.timeouts).toEqual([30_020, 60_040]);
  });

  it('but no more than two seconds before that ACK, and eight once it is told to go elsewhere', () => {
    const call = new Call();
    call.liveness.isTargetPeer = true;
    expect(call.pass(10_000)).toBe(100);
    call.liveness.confirm();
    call.liveness.isTargetPeer = false;
    expect(call.pass(20_000)).toBe(300);
  });

  it('goes on when a sign comes after that, and keeps a caller whose only signs are seconds apart', () => {
    const call = answered();
    call.pass(20_000);
    call.sign();
    let lastMs = call.nowMs;
    const sent = call.pass(120_000, () => {
      if (call.nowMs - lastMs < 5_000) return;
      lastMs = call.nowMs;
      call.sign();
    });
    expect(sent).toBe(6_000);
    expect(call.timeouts).toEqual([]);
  });

  it('is not fooled by re-INVITEs: neither the packets nor the time begin anew', () => {
    const call = answered();
    for (let i = 0; i < 10; i++) {
      call.pass(3_000);
      call.describe(true);
    }
    expect(call.sent).toBe(400);
    call.pass(100);
    expect(call.timeouts).toEqual([30_020]);
  });

  it('nor by re-INVITEs to one address after the other', () => {
    const call = answered();
    for (let i = 0; i < 10; i++) {
      call.pass(2_000);
      call.liveness.targetChanged();
    }
    expect(call.sent).toBe(400);
  });

  it('nor by a target that is there between others that are not: a twentieth of the time is earned for those', () => {
    const call = answered();
    let toOthers = 0;
    for (let i = 0; i < 100; i++) {
      call.liveness.targetChanged();
      call.sign();
      call.pass(1_000);
      call.liveness.targetChanged();
      toOthers += call.pass(5_000);
    }
    expect(toOthers).toBeLessThan(400 + (100 * 6_000) / 400 + 10);
  });

  it('leaves a call on hold alone for as long as it lasts, and counts on from where it was', () => {
    const call = answered();
    call.sign();
    call.pass(10_000);
    call.describe(false);
    call.pass(3_600_000);
    call.describe(true);
    expect(call.timeouts).toEqual([]);
    call.pass(19_000);
    expect(call.timeouts).toEqual([]);
    call.pass(2_000);
    expect(call.timeouts).toHaveLength(1);
  });

  it('counts what is heard during a hold, and no more than that', () => {
    const call = answered();
    call.pass(10_000);
    call.describe(false);
    call.pass(5_000);
    call.sign();
    call.pass(60_000);
    call.describe(true);
    call.pass(29_900);
    expect(call.timeouts).toEqual([]);
    call.pass(1_000);
    expect(call.timeouts).toHaveLength(1);
  });

  it('does not count before the answer, nor an answer that is a hold', () => {
    const liveness = new MediaLiveness(RTP_TIMEOUT_MS, 0);
    liveness.setSending(false, 0);
    expect(liveness.timeout(100_000)).toBeUndefined();
    liveness.start(100_000);
    expect(liveness.timeout(200_000)).toBeUndefined();
    liveness.setSending(true, 200_000);
    expect(liveness.timeout(229_000)).toBeUndefined();
    expect(liveness.timeout(230_001)).toBe(30_001);
  });
});
