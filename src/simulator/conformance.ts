import type { HandshakeReport } from './handshake-endpoint.js';
import type { SimulatorProtocol, SimulatorSessionReport } from './session-report.js';
import type { Violation, ViolationKind } from './uplink-audit.js';

/** One thing the guide asks of a client. */
interface Rule {
  readonly text: string;
  readonly brokenBy: readonly ViolationKind[];
  /** Absent: all three. */
  readonly of?: readonly Exchange[];
  /** Whether a session that broke nothing has shown that it keeps the rule. Absent: every session has. */
  readonly shownBy?: (session: SimulatorSessionReport) => boolean;
}

/** What a client can have with the simulator: a session in one of the protocols, or the handshake before it. */
type Exchange = SimulatorProtocol | 'handshake';

const heard = (session: SimulatorSessionReport): boolean => session.framesReceived > 0;
const SESSIONS = ['websocket', 'telephony'] as const;

/** The guide's rules, and those of Pranthora's servers behind it, in the order a call meets them. */
const RULES: readonly Rule[] = [
  { text: 'the API key comes in the x-api-key header', brokenBy: ['api-key'] },
  { text: 'the API key is in no URL', brokenBy: ['api-key-in-url'], of: SESSIONS },
  { text: 'exactly one of agent_id and workflow_id is given', brokenBy: ['agent-id'] },
  { text: 'the agent or workflow exists', brokenBy: ['unknown-agent'], of: SESSIONS },
  { text: 'the handshake is a POST with a JSON object', brokenBy: ['handshake-body'], of: ['handshake'] },
  {
    text: 'audio waits for start_media_streaming',
    brokenBy: ['audio-before-start'],
    of: ['websocket'],
    shownBy: heard,
  },
  { text: 'everything sent is binary: audio and nothing else', brokenBy: ['text-frame'], of: ['websocket'] },
  { text: 'everything sent is JSON in text messages', brokenBy: ['binary-frame', 'json'], of: ['telephony'] },
  { text: 'only start, media, mark and stop events are sent', brokenBy: ['unknown-event'], of: ['telephony'] },
  {
    text: 'one start event, with streamSid and callSid, begins the stream',
    brokenBy: ['no-start', 'start-fields', 'start-twice'],
    of: ['telephony'],
  },
  { text: 'media comes after the start event', brokenBy: ['audio-before-start'], of: ['telephony'], shownBy: heard },
  { text: 'media carries audio in base64', brokenBy: ['base64'], of: ['telephony'], shownBy: heard },
  { text: 'streamSid is the same throughout', brokenBy: ['stream-sid'], of: ['telephony'] },
  { text: 'sequenceNumber and chunk count up without a gap', brokenBy: ['sequence'], of: ['telephony'] },
  { text: 'audio comes in whole 20 ms frames', brokenBy: ['odd-length', 'frame-size'], of: SESSIONS, shownBy: heard },
  { text: 'audio is streamed, not batched', brokenBy: ['burst'], of: SESSIONS, shownBy: heard },
  { text: 'audio never pauses', brokenBy: ['gap', 'no-audio'], of: SESSIONS, shownBy: heard },
  {
    text: 'marks come back in order, when the speech before them is over',
    brokenBy: ['mark-unknown', 'mark-early', 'mark-missing'],
    of: ['telephony'],
    shownBy: ({ marks }) => marks.echoed > 0,
  },
  {
    text: 'a stop event ends the stream, and nothing follows it',
    brokenBy: ['no-stop', 'after-stop'],
    of: ['telephony'],
    shownBy: ({ closedByServer }) => !closedByServer,
  },
];

/** Not a violation while it happens: the network may have broken, and no client can help that. */
const CLOSE_RULE = 'a close frame ends the connection';

export interface RuleOutcome {
  readonly rule: string;
  readonly verdict: 'kept' | 'broken' | 'not tried';
  /** How often it was broken. */
  readonly times: number;
  /** The first time. */
  readonly detail?: string;
}

export interface ClientConformance {
  readonly client: string;
  readonly handshakes: number;
  readonly sessions: Readonly<Record<SimulatorProtocol, number>>;
  /** Only rules of the protocols the client has used. */
  readonly rules: readonly RuleOutcome[];
}

/** What was seen of one rule in one client. */
interface Tally {
  kept: number;
  broken: number;
  detail: string | undefined;
}

const MAX_CLIENTS = 100;

/** Which rules of the guide each client has kept. Fed with what is over; keeps counts alone. */
export class ConformanceLedger {
  readonly #clients = new Map<string, ClientLedger>();

  /** A session has ended. */
  addSession(report: SimulatorSessionReport, violations: readonly Violation[]): void {
    this.#client(report.client)?.addSession(report, violations);
  }

  addHandshake(report: HandshakeReport): void {
    this.#client(report.client)?.addHandshake(report);
  }

  /** Plain JSON, in the order in which the clients came. */
  report(): ClientConformance[] {
    return [...this.#clients].map(([client, ledger]) => ledger.report(client));
  }

  #client(name: string): ClientLedger | undefined {
    const known = this.#clients.get(name);
    if (known || this.#clients.size >= MAX_CLIENTS) return known;
    const ledger = new ClientLedger();
    this.#clients.set(name, ledger);
    return ledger;
  }
}

class ClientLedger {
  readonly #tallies = new Map<string, Tally>();
  readonly #sessions = { websocket: 0, telephony: 0 };
  #handshakes = 0;

  addSession(report: SimulatorSessionReport, violations: readonly Violation[]): void {
    this.#sessions[report.protocol]++;
    this.#weigh(report.protocol, violations, report);
    if (!report.closedByServer) this.#weighClose(report);
  }

  addHandshake({ complaints }: HandshakeReport): void {
    this.#handshakes++;
    this.#weigh('handshake', complaints, undefined);
  }

  report(client: string): ClientConformance {
    const rules = [...RULES.map(({ text }) => text), CLOSE_RULE].flatMap((rule) => {
      const tally = this.#tallies.get(rule);
      return tally ? [outcome(rule, tally)] : [];
    });
    return { client, handshakes: this.#handshakes, sessions: { ...this.#sessions }, rules };
  }

  #weigh(
    exchange: Exchange,
    violations: readonly Pick<Violation, 'kind' | 'detail'>[],
    session: SimulatorSessionReport | undefined,
  ): void {
    for (const { text, of, brokenBy, shownBy } of RULES) {
      if (of && !of.includes(exchange)) continue;
      const tally = this.#tally(text);
      const against = violations.filter(({ kind }) => brokenBy.includes(kind));
      tally.broken += against.length;
      tally.detail ??= against[0]?.detail;
      if (against.length === 0 && (!shownBy || (session && shownBy(session)))) tally.kept++;
    }
  }

  #weighClose({ closeCode }: SimulatorSessionReport): void {
    const tally = this.#tally(CLOSE_RULE);
    if (closeCode !== 1006) {
      tally.kept++;
      return;
    }
    tally.broken++;
    tally.detail ??= 'the connection broke (1006)';
  }

  #tally(rule: string): Tally {
    const tally = this.#tallies.get(rule) ?? { kept: 0, broken: 0, detail: undefined };
    this.#tallies.set(rule, tally);
    return tally;
  }
}

function outcome(rule: string, { kept, broken, detail }: Tally): RuleOutcome {
  const verdict = broken > 0 ? 'broken' : kept > 0 ? 'kept' : 'not tried';
  return { rule, verdict, times: broken, ...(detail !== undefined && { detail }) };
}
