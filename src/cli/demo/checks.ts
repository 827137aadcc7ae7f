import type { LogFields } from '../../logger.js';
import { matchSpeech, speechLevelDbm0, type SpeechMatch } from '../../phone/audio-measure.js';
import type { HeardAudio } from '../../phone/heard-audio.js';
import type { SimulatorSession } from '../../simulator/simulator-session.js';
import type { TestCallReport } from '../../phone/test-call.js';
import type { ConversationTimes } from './conversation.js';
import { AGENT_RATE_HZ, atTelephoneRate, CALLER_RATE_HZ, type DemoSpeech } from './speech.js';
import { seconds } from './timeline.js';

/** One line of the summary. */
export interface Check {
  readonly name: string;
  readonly held: boolean;
  /** What was measured, and what is asked for. */
  readonly detail: string;
}

/** All that is known when the call is over. */
export interface DemoFacts {
  readonly speech: DemoSpeech;
  readonly call: TestCallReport;
  readonly heard: HeardAudio;
  readonly session: Pick<SimulatorSession, 'receivedAudio' | 'report' | 'violations'>;
  readonly times: ConversationTimes;
  /** The bridge's own record: its `call.ended`. */
  readonly record: LogFields | undefined;
  /** What is still held somewhere, a name each. */
  readonly leftOpen: readonly string[];
}

/**
 * G.711 leaves 36 to 38 dB of these recordings (see `matchSpeech` for the measure). Six less, and something else than
 * companding has been at work.
 */
const MIN_SNR_DB = 30;
const MAX_LEVEL_ERROR_DB = 0.3;
const MAX_FIRST_AUDIO_MS = 100;
/** A packet that had been sent when `stop` came, one more that was due, and the way through one process. */
const MAX_INTERRUPTION_MS = 40;
/** Old speech was on the wire until at most this long before `stop`: there was something to silence. */
const MAX_ALREADY_SILENT_MS = 60;
/** Arrival of two packets in a row; 20 ms were right. */
const MAX_GAP_MS = 100;
/** So much before the interruption the answer is sure to have been heard. */
const UNSURE_MS = 200;

export function checkDemo(facts: DemoFacts): Check[] {
  return [
    checkAnswered(facts),
    checkSpeech('caller → agent', utterancesOfCaller(facts)),
    checkSpeech('agent → caller', utterancesOfAgent(facts)),
    checkPackets(facts),
    checkFirstAudio(facts),
    checkInterruption(facts),
    checkProtocol(facts),
    checkEnding(facts),
    checkLeftOpen(facts),
  ];
}

function checkAnswered({ call }: DemoFacts): Check {
  const { answeredAtMs, placedAtMs, codec } = call;
  return {
    name: 'answered',
    held: answeredAtMs !== undefined,
    detail: answeredAtMs === undefined ? 'never' : `${tenths(answeredAtMs - placedAtMs)} ms after the INVITE, ${codec}`,
  };
}

/** An utterance as it was said and as it arrived. */
interface Arrival {
  readonly match: SpeechMatch | undefined;
  readonly levelDbm0: number;
}

/** At Pranthora's 16 kHz, from what the simulator received. */
function utterancesOfCaller({ speech, session }: DemoFacts): Arrival[] {
  const received = session.receivedAudio();
  return [speech.question, speech.interruption].map((said) => {
    const match = matchSpeech(said, received, AGENT_RATE_HZ);
    return arrival(match, said, received, AGENT_RATE_HZ);
  });
}

/** At the telephone's 8 kHz, from what came off the wire; of the answer, what was said before the interruption. */
function utterancesOfAgent({ speech, heard, times }: DemoFacts): Arrival[] {
  const timeline = heard.timeline();
  const heardMs = times.stopSentAtMs - times.answerHeardAtMs - UNSURE_MS;
  const answer = speech.answer.subarray(0, (Math.max(0, heardMs) / 1_000) * AGENT_RATE_HZ);
  return [speech.greeting, answer, speech.reply].map((said) => {
    // The bridge may halve the rate beginning with the first sample or with the second.
    const [best] = ([0, 1] as const)
      .map((first) => atTelephoneRate(said, first))
      .map((reference) => ({ reference, match: matchSpeech(reference, timeline, CALLER_RATE_HZ) }))
      .sort((a, b) => (b.match?.snrDb ?? -Infinity) - (a.match?.snrDb ?? -Infinity));
    return arrival(best?.match, best?.reference ?? said, timeline, CALLER_RATE_HZ);
  });
}

function arrival(match: SpeechMatch | undefined, said: Int16Array, recording: Int16Array, rateHz: number): Arrival {
  const at = Math.max(0, match?.atSample ?? 0);
  return { match, levelDbm0: speechLevelDbm0(recording.subarray(at, at + said.length), rateHz) };
}

function checkSpeech(direction: string, arrivals: readonly Arrival[]): Check {
  const snrDb = Math.min(...arrivals.map(({ match }) => match?.snrDb ?? -Infinity));
  const levelErrorDb = Math.max(...arrivals.map(({ match }) => Math.abs(match?.gainDb ?? Infinity)));
  const levels = arrivals.map(({ levelDbm0 }) => tenths(levelDbm0)).join(', ');
  return {
    name: direction,
    held: snrDb >= MIN_SNR_DB && levelErrorDb <= MAX_LEVEL_ERROR_DB,
    detail:
      `${arrivals.length} utterances at ${levels} dBm0 (within ${levelErrorDb.toFixed(2)} dB of what was said), ` +
      `SNR ${tenths(snrDb)} dB or better (${MIN_SNR_DB} asked for)`,
  };
}

function checkPackets({ call, session, record }: DemoFacts): Check {
  const { packets, lost, duplicated, sequenceBreaks, timestampBreaks, longestGapMs } = call.heard;
  const uplink = record?.['uplink'] as { packets: number; lost: number; late: number } | undefined;
  const upLost = (uplink?.lost ?? Infinity) + (uplink?.late ?? Infinity);
  const breaks = lost + duplicated + sequenceBreaks + timestampBreaks;
  return {
    name: 'packets',
    held: packets > 0 && breaks === 0 && upLost === 0 && longestGapMs <= MAX_GAP_MS,
    detail:
      `RTP ${call.sentPackets} → ${uplink?.packets ?? 0} and back ${packets}: ${lost + upLost} lost, ` +
      `${duplicated} repeated, ${sequenceBreaks + timestampBreaks} breaks, longest gap ${tenths(longestGapMs)} ms; ` +
      `${session.report().framesReceived} frames to the agent`,
  };
}

function checkFirstAudio({ call, heard }: DemoFacts): Check {
  const firstSoundAtMs = heard.firstSoundAtMs();
  const ms = (firstSoundAtMs ?? Infinity) - (call.answeredAtMs ?? -Infinity);
  return {
    name: 'first audio',
    held: ms <= MAX_FIRST_AUDIO_MS,
    detail: `${tenths(ms)} ms after the answer (${MAX_FIRST_AUDIO_MS} at most)`,
  };
}

/**
 * From the moment `stop` was written to the WebSocket to the arrival of the last packet with anything but digital
 * silence in it, up to when the agent spoke again. 0 when the last such packet had arrived before.
 */
function checkInterruption({ heard, times, record }: DemoFacts): Check {
  const lastOldAtMs = heard.lastSoundAtMs(times.replySaidAtMs) ?? Infinity;
  const offsetMs = lastOldAtMs - times.stopSentAtMs;
  const ms = Math.max(0, offsetMs);
  const interruptions = (record?.['interruptions'] ?? []) as readonly { discardedMs: number }[];
  const discardedMs = interruptions.reduce((sum, interruption) => sum + interruption.discardedMs, 0);
  return {
    name: 'interruption',
    held:
      ms <= MAX_INTERRUPTION_MS && offsetMs > -MAX_ALREADY_SILENT_MS && interruptions.length === 1 && discardedMs > 0,
    detail:
      `${tenths(ms)} ms from the agent's stop to the last old speech on the wire (${MAX_INTERRUPTION_MS} at most), ` +
      (offsetMs < 0 ? `which had come ${tenths(-offsetMs)} ms before; ` : '') +
      `${seconds(discardedMs)} never played`,
  };
}

function checkProtocol({ session }: DemoFacts): Check {
  const { violations } = session;
  return {
    name: 'protocol',
    held: violations.length === 0,
    detail:
      violations.length === 0
        ? "no violation of Pranthora's guide"
        : violations.map(({ kind, detail }) => `${kind}: ${detail}`).join('; '),
  };
}

function checkEnding({ call, session, record }: DemoFacts): Check {
  const { closeCode } = session.report();
  const by = call.ending?.by ?? 'nobody';
  return {
    name: 'hung up',
    held: by === 'caller' && closeCode === 1000 && record?.['reason'] === 'caller_hangup',
    detail: `by the ${by} after ${seconds((call.endedAtMs ?? 0) - call.placedAtMs)}, WebSocket closed with ${closeCode ?? 'nothing'}`,
  };
}

function checkLeftOpen({ leftOpen }: DemoFacts): Check {
  return {
    name: 'left open',
    held: leftOpen.length === 0,
    detail: leftOpen.length === 0 ? 'no call, dialog, port or socket' : leftOpen.join(', '),
  };
}

function tenths(value: number): string {
  return value.toFixed(1);
}
