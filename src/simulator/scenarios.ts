import type { Scenario } from './simulator-session.js';
import type { Speech } from './speech.js';
import { TurnDetector } from './turn-detector.js';

export const SCENARIO_NAMES = [
  'echo',
  'greeting-first',
  'talk-and-interrupt',
  'agent-hangs-up',
  'session-timeout',
  'refuse-4001',
  'refuse-4003',
  'never-starts',
  'dies',
  'silent',
] as const;

export type ScenarioName = (typeof SCENARIO_NAMES)[number];

/** A fresh scenario for one session. */
export function namedScenario(name: ScenarioName, speech: Speech): Scenario {
  switch (name) {
    case 'echo':
      return echo();
    case 'greeting-first':
      return greetingFirst(speech.greeting);
    case 'talk-and-interrupt':
      return talkAndInterrupt(speech);
    case 'agent-hangs-up':
      return hangUpAfter(speech.farewell);
    case 'session-timeout':
      return sessionTimeout(5_000);
    case 'refuse-4001':
      return refuse(4001, 'Unauthorized');
    case 'refuse-4003':
      return refuse(4003, 'Agent not found');
    case 'never-starts':
      return { onOpen: () => undefined };
    case 'dies':
      return dies(3_000);
    case 'silent':
      return {};
  }
}

/** Says back what it hears, byte for byte. */
export function echo(): Scenario {
  return {
    onMedia: (session, payload) => session.sendMedia(payload),
  };
}

/** Greets before it is ready to listen: the first half second of the greeting comes before `start_media_streaming`. */
function greetingFirst(greeting: Int16Array): Scenario {
  return {
    onOpen: (session) => {
      session.say(greeting.subarray(0, 8_000));
      session.after(50, () => {
        session.start();
        session.say(greeting.subarray(8_000));
      });
    },
  };
}

/** Says `farewell` after half a second and hangs up as soon as it is sent, long before the caller has heard it. */
function hangUpAfter(farewell: Int16Array): Scenario {
  return {
    onOpen: (session) => {
      session.start();
      session.after(500, () => session.say(farewell, () => session.close(1000, 'Call terminated by agent')));
    },
  };
}

/** Echoes until the session's time is up, whatever is going on. The next connection is as welcome as the first. */
export function sessionTimeout(afterMs: number): Scenario {
  return closes(afterMs, 1000, 'Session timeout reached');
}

/** Echoes until it ends the session with a close frame. */
export function closes(afterMs: number, code: number, reason: string): Scenario {
  return {
    ...echo(),
    onOpen: (session) => {
      session.start();
      session.after(afterMs, () => session.close(code, reason));
    },
  };
}

/** Echoes, then the TCP connection breaks. */
export function dies(afterMs: number): Scenario {
  return {
    ...echo(),
    onOpen: (session) => {
      session.start();
      session.after(afterMs, () => session.terminate());
    },
  };
}

/** Accepts the upgrade, as Pranthora does, only to close with what is wrong. */
export function refuse(code: number, reason: string): Scenario {
  return {
    onOpen: (session) => session.close(code, reason),
  };
}

/** Refuses the handshake, or the upgrade where there is no handshake. */
export function refuseHttp(httpStatus: number): Scenario {
  return { httpStatus };
}

/** Talks at length, stops when talked over, and answers when the caller has finished. */
function talkAndInterrupt(speech: Speech): Scenario {
  const turns = new TurnDetector();
  return {
    onOpen: (session) => {
      session.start();
      session.say(speech.talk);
    },
    onAudio: (session, bytes) => {
      const turn = turns.hear(bytes);
      if (turn === 'turn-begins' && session.isSpeaking) session.interrupt();
      if (turn === 'turn-ends') session.say(speech.reply);
    },
  };
}
