import { describe, expect, it } from 'vitest';
import { Uplink, type UplinkOptions } from '../../../src/bridge/uplink/uplink.js';
import { newRtpPacket, type RtpPacket } from '../../../src/rtp/packet.js';
import { DTMF_DIGITS } from '../../../src/rtp/telephone-event.js';
import { fitSine, levelDbm0, tone } from '../../support/signal.js';
import { expectedAudio, packetsOf } from './uplink-bench.js';

const RATE_HZ = 16_000;
const LOW_HZ = [941, 697, 697, 697, 770, 770, 770, 852, 852, 852, 941, 941, 697, 770, 852, 941];
const HIGH_HZ = [
  1_336, 1_209, 1_336, 1_477, 1_209, 1_336, 1_477, 1_209, 1_336, 1_477, 1_209, 1_477, 1_633, 1_633, 1_633, 1_633,
];

interface EventFields {
  readonly event: number;
  readonly timestamp: number;
  readonly duration: number;
  readonly end?: boolean;
  readonly sequenceNumber: number;
}

function eventPacket({ event, timestamp, duration, end = false, sequenceNumber }: EventFields): RtpPacket {
  const bytes = Uint8Array.of(event, (end ? 0x80 : 0) | 10, duration >> 8, duration);
  return { ...newRtpPacket(), ssrc: 1, sequenceNumber, timestamp, bytes, payloadLength: 4 };
}

/** A call in virtual time: the uplink is given what each 20 ms brings, and ticked. */
class Call {
  readonly heard: number[] = [];
  readonly uplink: Uplink;
  nowMs = 0;
  timestamp = 8_000;
  #sequence = 0;
  longestGapMs = 0;
  #lastFrameMs = 0;

  constructor(dtmf: UplinkOptions['dtmf']) {
    this.uplink = new Uplink(
      0,
      (frame) => {
        this.longestGapMs = Math.max(this.longestGapMs, this.nowMs - this.#lastFrameMs);
        this.#lastFrameMs = this.nowMs;
        for (let i = 0; i < frame.length; i += 2) this.heard.push(frame.readInt16LE(i));
      },
      { dtmf },
    );
  }

  /** 20 ms go by, and with them the caller's timestamps. */
  pass(): void {
    this.nowMs += 20;
    this.timestamp += 160;
    this.uplink.tick(this.nowMs + 3);
  }

  wait(durationMs: number): void {
    for (let ms = 0; ms < durationMs; ms += 20) this.pass();
  }

  speak(durationMs: number, frequencyHz = 500): void {
    const samples = tone({ rateHz: 8_000, frequencyHz, levelDbm0: -10, durationMs });
    for (const packet of packetsOf(samples, { firstTimestamp: this.timestamp })) {
      this.uplink.receive({ ...packet, sequenceNumber: this.#next() }, this.nowMs);
      this.pass();
    }
  }

  /** Presses a key: a packet every 20 ms, its end three times; `isLost` says which of them do not come. */
  press(event: number, durationMs: number, isLost: (n: number) => boolean = () => false): void {
    const { timestamp } = this;
    const updates = durationMs / 20;
    for (let n = 1; n <= updates; n++) {
      const fields = { event, timestamp, duration: n * 160, end: n === updates };
      for (let copy = 0; copy < (n === updates ? 3 : 1); copy++) {
        const packet = eventPacket({ ...fields, sequenceNumber: this.#next() });
        if (!isLost(n)) this.uplink.receiveEvent(packet, this.nowMs);
      }
      this.pass();
    }
  }

  comfortNoise(): void {
    this.uplink.receiveComfortNoise({ ...newRtpPacket(), ssrc: 1, sequenceNumber: this.#next() });
  }

  /** What was heard from `fromMs` on, of speech that began at 0. */
  from(fromMs: number, durationMs: number): Int16Array {
    return Int16Array.from(this.heard.slice(fromMs * 16, (fromMs + durationMs) * 16));
  }

  #next(): number {
    return this.#sequence++ & 0xffff;
  }
}

/** Where the tone of a digit is heard, in ms, and for how long. */
function toneHeard(heard: readonly number[], digit: number): { fromMs: number; durationMs: number } {
  const samples = Int16Array.from(heard);
  const blocks = Array.from({ length: Math.floor(samples.length / 80) }, (_, i) => {
    const block = samples.subarray(i * 80, (i + 1) * 80);
    return levelDbm0(block) > -12 && fitSine(block, RATE_HZ, LOW_HZ[digit] ?? 0).levelDbm0 > -20;
  });
  return { fromMs: blocks.indexOf(true) * 5, durationMs: blocks.filter(Boolean).length * 5 };
}

describe('Uplink, keys pressed', () => {
  it.each(DTMF_DIGITS.split('').map((digit, event) => ({ digit, event })))(
    'plays $digit inband for as long',
    ({ event }) => {
      const call = new Call('inband');
      call.speak(200, 2_400);
      const at = call.heard.length / 16;
      call.press(event, 160);
      const tones = call.from(at + 20, 120);
      expect(fitSine(tones, RATE_HZ, LOW_HZ[event] ?? 0).levelDbm0).toBeCloseTo(-9, 0);
      expect(fitSine(tones, RATE_HZ, HIGH_HZ[event] ?? 0).levelDbm0).toBeCloseTo(-7, 0);
      call.speak(200, 2_400);
      const heard = toneHeard(call.heard.slice(at * 16), event);
      expect(heard.fromMs).toBeLessThanOrEqual(5);
      expect(Math.abs(heard.durationMs - 160)).toBeLessThanOrEqual(10);
      expect(call.heard.length / 16).toBe(at + 160 + 200);
    },
  );

  it('is silence during the event, with dtmf: none, and speech before and after is in its place', () => {
    const call = new Call('none');
    call.speak(200);
    const at = call.heard.length / 16;
    call.press(5, 160);
    call.speak(200);
    expect(call.from(at + 8, 150).every((sample) => sample === 0)).toBe(true);
    expect(call.heard.length / 16).toBe(at + 360);
    expect(fitSine(call.from(at + 180, 180), RATE_HZ, 500).snrDb).toBeGreaterThan(30);
    expect(call.uplink.stats.late).toBe(0);
  });

  it('does not hear what comes as audio during the event', () => {
    const call = new Call('none');
    call.speak(200);
    const at = call.heard.length / 16;
    const { timestamp } = call;
    for (let n = 0; n < 8; n++) {
      const fields = { event: 1, timestamp, duration: (n + 1) * 160, sequenceNumber: 10 + 2 * n };
      const [noise] = packetsOf(tone({ rateHz: 8_000, frequencyHz: 697, levelDbm0: -5, durationMs: 20 }), {
        firstTimestamp: timestamp + n * 160,
      });
      call.uplink.receiveEvent(eventPacket(fields), call.nowMs);
      if (noise) call.uplink.receive({ ...noise, sequenceNumber: 11 + 2 * n }, call.nowMs);
      call.pass();
    }
    expect(call.from(at + 8, 150).every((sample) => sample === 0)).toBe(true);
    expect(call.longestGapMs).toBeLessThanOrEqual(40);
  });

  it('ends a tone whose end is lost, by and by', () => {
    const call = new Call('inband');
    call.speak(200, 2_400);
    const at = call.heard.length;
    call.press(3, 200, (n) => n > 5);
    call.wait(600);
    const { durationMs } = toneHeard(call.heard.slice(at), 3);
    expect(durationMs).toBeGreaterThanOrEqual(100);
    expect(durationMs).toBeLessThanOrEqual(210);
    expect(call.longestGapMs).toBeLessThanOrEqual(100);
  });

  it('bridges updates that are lost, and plays no more of a long one than there is time', () => {
    const call = new Call('inband');
    call.speak(200, 2_400);
    const at = call.heard.length;
    call.press(8, 2_000, (n) => n % 3 === 2);
    call.speak(400, 2_400);
    const { durationMs } = toneHeard(call.heard.slice(at), 8);
    expect(Math.abs(durationMs - 2_000)).toBeLessThanOrEqual(60);
    expect(call.heard.length / 16).toBeLessThanOrEqual(2_600 + 40);
  });

  it('believes no duration that is longer than the time gone by', () => {
    const call = new Call('inband');
    call.speak(200);
    const at = call.heard.length;
    for (let n = 0; n < 50; n++) {
      const fields = {
        event: 7,
        timestamp: call.timestamp,
        duration: 0xffff,
        end: n % 2 === 0,
        sequenceNumber: 10 + n,
      };
      call.uplink.receiveEvent(eventPacket(fields), call.nowMs);
      call.pass();
    }
    expect((call.heard.length - at) / 16).toBeLessThanOrEqual(1_000 + 40);
  });
});

describe('Uplink, a caller who is silent', () => {
  it('hears zeros after comfort noise, for as long as the pause is, and the next word whole', () => {
    const call = new Call('none');
    call.speak(400);
    const at = call.heard.length / 16;
    for (let n = 0; n < 10; n++) {
      call.comfortNoise();
      call.wait(200);
    }
    call.speak(400);
    const total = call.heard.length / 16;
    expect(total).toBe(at + 2_400);
    expect(call.from(at + 8, 1_980).every((sample) => sample === 0)).toBe(true);
    expect(fitSine(call.from(at + 2_010, 380), RATE_HZ, 500).snrDb).toBeGreaterThan(30);
    expect(call.longestGapMs).toBeLessThanOrEqual(100);
  });

  it('starves nobody when only comfort noise comes', () => {
    const call = new Call('none');
    for (let n = 0; n < 50; n++) {
      call.comfortNoise();
      call.wait(200);
    }
    expect(call.heard.length / 16).toBeGreaterThanOrEqual(9_960);
    expect(call.heard.every((sample) => sample === 0)).toBe(true);
    expect(call.longestGapMs).toBeLessThanOrEqual(40);
  });

  it.each([0, 20, 40, 60])('hears the first word whole, %d ms after the agent is ready', (waitMs) => {
    const call = new Call('none');
    call.wait(waitMs);
    const at = call.heard.length / 16;
    call.speak(200);
    const said = tone({ rateHz: 8_000, frequencyHz: 500, levelDbm0: -10, durationMs: 200 });
    expect(call.from(at, 200)).toEqual(expectedAudio(said));
  });

  it('goes on in step after a hold of a minute whose timestamps stood still', () => {
    const call = new Call('none');
    call.speak(2_000);
    const { timestamp } = call;
    call.wait(60_000);
    call.timestamp = timestamp;
    call.speak(2_000);
    expect(Math.abs(call.heard.length / 16 - 64_000)).toBeLessThanOrEqual(60);
    expect(call.longestGapMs).toBeLessThanOrEqual(100);
    expect(fitSine(call.from(call.heard.length / 16 - 1_000, 990), RATE_HZ, 500).snrDb).toBeGreaterThan(30);
  });
});
