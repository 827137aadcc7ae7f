import type { Clock } from '../../clock.js';
import type { SimulatorSession } from '../../simulator/simulator-session.js';
import type { TestCall } from '../../phone/test-call.js';
import { atTelephoneRate, type DemoSpeech } from './speech.js';
import type { Timeline } from './timeline.js';

const POLL_MS = 20;
const PATIENCE_MS = 10_000;

/** Longer than the pauses between words. */
const TURN_AFTER_MS = 600;
/** How much of the long answer is listened to before it is talked over. */
const LISTEN_MS = 2_000;

/** When what was said and done, on the common clock. */
export interface ConversationTimes {
  /** The agent's answer began to be heard. */
  readonly answerHeardAtMs: number;
  /** The agent's WebSocket had written `stop`. */
  readonly stopSentAtMs: number;
  /** The agent began to speak again. */
  readonly replySaidAtMs: number;
}

/** A thing that did not happen in time. */
export class ConversationFailed extends Error {
  override readonly name = 'ConversationFailed';
}

/** The caller's part: listens to the greeting, asks, talks over the answer, listens to the reply, and hangs up. */
export async function converse(
  parties: { call: TestCall; session: SimulatorSession; clock: Clock; timeline: Timeline },
  speech: DemoSpeech,
): Promise<ConversationTimes> {
  const { call, session, clock, timeline } = parties;
  const stops: number[] = [];
  const sayings: number[] = [];
  session.on('interrupted', (atMs) => stops.push(atMs));
  session.on('speaking', (atMs) => sayings.push(atMs));
  const wait = <T>(what: string, find: () => T | undefined): Promise<T> => waitFor(clock, call, what, find);
  const hears = (what: string, fromMs: number): Promise<number> => wait(what, () => call.heard.firstSoundAtMs(fromMs));
  const hearsOut = async (what: string): Promise<number> => {
    const endMs = await wait(`the end of ${what}`, () => silentFor(call, clock, TURN_AFTER_MS));
    timeline.say('caller', `has heard ${what} to its end`);
    return endMs;
  };

  await hears('the greeting', 0);
  timeline.say('caller', 'hears the greeting');
  await hearsOut('the greeting');

  timeline.say('caller', 'asks a question');
  await call.play(atTelephoneRate(speech.question));
  const askedMs = clock.nowMs();
  const answerHeardAtMs = await hears('the answer', askedMs);
  timeline.say('caller', 'hears the answer');
  await wait('the middle of the answer', () => (clock.nowMs() >= answerHeardAtMs + LISTEN_MS ? true : undefined));

  timeline.say('caller', 'talks over it');
  const interrupting = call.play(atTelephoneRate(speech.interruption));
  const stopSentAtMs = await wait('the interruption', () => stops[0]);
  await wait('silence', () => silentFor(call, clock, POLL_MS));
  timeline.say('caller', 'hears the agent fall silent');
  await interrupting;

  const replySaidAtMs = await wait('the reply', () => sayings.find((atMs) => atMs > stopSentAtMs));
  await hears('the reply', replySaidAtMs);
  timeline.say('caller', 'hears the reply');
  await hearsOut('the reply');
  return { answerHeardAtMs, stopSentAtMs, replySaidAtMs };
}

function silentFor(call: TestCall, clock: Clock, durationMs: number): number | undefined {
  const sinceMs = call.heard.silentSinceMs();
  return sinceMs !== undefined && clock.nowMs() - sinceMs >= durationMs ? sinceMs : undefined;
}

/** Looks every 20 ms until `find` finds something. */
function waitFor<T>(clock: Clock, call: TestCall, what: string, find: () => T | undefined): Promise<T> {
  const deadlineMs = clock.nowMs() + PATIENCE_MS;
  return new Promise((resolve, reject) => {
    const look = (): void => {
      const found = find();
      if (found !== undefined) resolve(found);
      else if (call.ending) reject(new ConversationFailed(`call ended before ${what}: ${call.ending.reason}`));
      else if (clock.nowMs() > deadlineMs) reject(new ConversationFailed(`no sign of ${what} in ${PATIENCE_MS} ms`));
      else clock.after(POLL_MS, look);
    };
    look();
  });
}
