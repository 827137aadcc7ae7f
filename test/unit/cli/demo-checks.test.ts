import { beforeAll, describe, expect, it } from 'vitest';
import { encodeG711 } from '../../../src/audio/g711.js';
import { checkDemo, type DemoFacts } from '../../../src/cli/demo/checks.js';
import { atTelephoneRate, readDemoSpeech, type DemoSpeech } from '../../../src/cli/demo/speech.js';
import { newRtpPacket, parseRtp, writeRtpHeader } from '../../../src/rtp/packet.js';
import { HeardAudio } from '../../../src/phone/heard-audio.js';
import { createPhoneCodec } from '../../../src/phone/phone-codec.js';

const FRAME = 160;
/** The first packet arrives here, the answer is heard here, and is cut here; the reply is said here. */
const START_MS = 1_000;
const ANSWER_AT = 200 * FRAME;
const CUT_AT = 300 * FRAME;
const REPLY_AT = 400 * FRAME;
const END = 520 * FRAME;
const arrivalMs = (sample: number): number => START_MS + sample / 8;

/** What a caller hears when all goes well. */
function heardTimeline(speech: DemoSpeech): Int16Array {
  const timeline = new Int16Array(END);
  timeline.set(atTelephoneRate(speech.greeting), 0);
  timeline.set(atTelephoneRate(speech.answer).subarray(0, CUT_AT - ANSWER_AT), ANSWER_AT);
  timeline.set(atTelephoneRate(speech.reply), REPLY_AT);
  return timeline;
}

/** As packets; those of `lost` do not come. */
function overRtp(timeline: Int16Array, lost: readonly number[] = []): HeardAudio {
  const heard = new HeardAudio(createPhoneCodec('PCMU'), 10_000);
  for (let n = 0; n * FRAME < timeline.length; n++) {
    if (lost.includes(n)) continue;
    const bytes = new Uint8Array(12 + FRAME);
    writeRtpHeader(bytes, { payloadType: 0, marker: n === 0, sequenceNumber: n, timestamp: n * FRAME, ssrc: 1 });
    encodeG711('mulaw', timeline, n * FRAME, FRAME, bytes, 12);
    const packet = newRtpPacket();
    expect(parseRtp(bytes, packet)).toBe(true);
    heard.add(packet, arrivalMs(n * FRAME));
  }
  return heard;
}

let speech: DemoSpeech;

beforeAll(() => {
  speech = readDemoSpeech();
});

/** A demo in which all went well, but for what `fault` says. */
function facts(
  fault: {
    heard?: HeardAudio;
    received?: Int16Array;
    call?: Partial<DemoFacts['call']>;
    session?: Partial<DemoFacts['session']>;
    closeCode?: number;
    stopSentAtMs?: number;
    record?: Record<string, unknown>;
    leftOpen?: string[];
  } = {},
): DemoFacts {
  const heard = fault.heard ?? overRtp(heardTimeline(speech));
  const received = fault.received ?? Int16Array.from([...speech.question, ...speech.interruption]);
  const report = { framesReceived: 520, closeCode: fault.closeCode ?? 1000 } as ReturnType<
    DemoFacts['session']['report']
  >;
  return {
    speech,
    heard,
    call: {
      codec: 'PCMU',
      progress: [],
      placedAtMs: 900,
      answeredAtMs: 990,
      endedAtMs: arrivalMs(END),
      ending: { by: 'caller', reason: 'hung up' },
      sentPackets: 520,
      foreignPackets: 0,
      heard: heard.report(),
      ...fault.call,
    },
    session: { receivedAudio: () => received, report: () => report, violations: [], ...fault.session },
    times: {
      answerHeardAtMs: arrivalMs(ANSWER_AT),
      stopSentAtMs: fault.stopSentAtMs ?? arrivalMs(CUT_AT) - 15,
      replySaidAtMs: arrivalMs(REPLY_AT) - 5,
    },
    record: {
      event: 'call.ended',
      reason: 'caller_hangup',
      uplink: { packets: 520, lost: 0, late: 0 },
      interruptions: [{ reactionMs: 3, discardedMs: 4_000 }],
      ...fault.record,
    },
    leftOpen: fault.leftOpen ?? [],
  };
}

function failing(demo: DemoFacts): string[] {
  return checkDemo(demo)
    .filter(({ held }) => !held)
    .map(({ name }) => name);
}

describe('the summary of the demo', () => {
  it('has every check held when all went well', () =>
    expect(checkDemo(facts()).filter(({ held }) => !held)).toEqual([]));

  it('notices a call that was never answered', () => {
    const { answeredAtMs, ...call } = facts().call;
    expect(answeredAtMs).toBeDefined();
    expect(failing({ ...facts(), call })).toContain('answered');
  });

  it('notices a packet that did not come, and what it costs the speech', () => {
    const timeline = heardTimeline(speech);
    const loudest = timeline.indexOf(Math.max(...timeline.subarray(0, ANSWER_AT)));
    const heard = overRtp(timeline, [Math.floor(loudest / FRAME)]);
    expect(failing(facts({ heard }))).toEqual(['agent → caller', 'packets']);
  });

  it('notices speech that is not what was said', () => {
    const louder = heardTimeline(speech).map((sample) => Math.round(sample * 0.9));
    expect(failing(facts({ heard: overRtp(louder) }))).toEqual(['agent → caller']);
    const silence = new Int16Array(100_000);
    expect(failing(facts({ received: silence }))).toEqual(['caller → agent']);
  });

  it('notices packets the bridge missed', () =>
    expect(failing(facts({ record: { uplink: { packets: 519, lost: 1, late: 0 } } }))).toEqual(['packets']));

  it('notices audio that comes late', () =>
    expect(failing(facts({ call: { answeredAtMs: arrivalMs(0) - 150 } }))).toEqual(['first audio']));

  it('notices old speech after the stop', () =>
    expect(failing(facts({ stopSentAtMs: arrivalMs(CUT_AT) - 70 }))).toEqual(['interruption']));

  it('does not count an interruption of silence', () => {
    expect(failing(facts({ stopSentAtMs: arrivalMs(CUT_AT) + 100 }))).toContain('interruption');
    expect(failing(facts({ record: { interruptions: [] } }))).toEqual(['interruption']);
    expect(failing(facts({ record: { interruptions: [{ reactionMs: 1, discardedMs: 0 }] } }))).toEqual([
      'interruption',
    ]);
  });

  it('notices what the simulator complained about', () => {
    const violations = [{ kind: 'gap' as const, detail: '120 ms', atMs: 1 }];
    expect(failing(facts({ session: { violations } }))).toEqual(['protocol']);
  });

  it('notices a call that ended otherwise', () => {
    expect(failing(facts({ closeCode: 1006 }))).toEqual(['hung up']);
    expect(failing(facts({ call: { ending: { by: 'callee', reason: 'hung up' } } }))).toEqual(['hung up']);
    expect(failing(facts({ record: { reason: 'rtp_timeout' } }))).toEqual(['hung up']);
  });

  it('notices what is left open', () =>
    expect(failing(facts({ leftOpen: ['bridge: 1 rtpPorts'] }))).toEqual(['left open']));
});
