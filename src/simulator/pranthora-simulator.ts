import { EventEmitter, once } from 'node:events';
import { createServer, STATUS_CODES, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import type { Duplex } from 'node:stream';
import { WebSocketServer, type WebSocket } from 'ws';
import { systemClock, type Clock } from '../clock.js';
import type { Logger } from '../logger.js';
import {
  clientName,
  HANDSHAKE_PATH,
  idComplaint,
  keyComplaint,
  keyInUrlComplaint,
  mediaStreamPath,
  readUpgrade,
  type AskedFor,
  type ClientRequest,
  type Complaint,
} from './client-request.js';
import { ConformanceLedger, type ClientConformance } from './conformance.js';
import { HandshakeEndpoint, type HandshakeReport } from './handshake-endpoint.js';
import { namedScenario, refuse, type ScenarioName } from './scenarios.js';
import { SimulatorSession, type Scenario, type SimulatorSessionReport } from './simulator-session.js';
import { toneSpeech, type Speech } from './speech.js';
import type { StalledMs } from './uplink-audit.js';

export { WEB_MEDIA_STREAM_PATH } from './client-request.js';
export type { ClientConformance } from './conformance.js';
export type { HandshakeReport } from './handshake-endpoint.js';

export interface SimulatorOptions {
  /** Default 127.0.0.1. */
  readonly host?: string;
  /** Default 0: any free port. */
  readonly port?: number;
  /** The only key accepted; without it, any key is, but there must be one. */
  readonly apiKey?: string;
  /** How every agent behaves for which `scenarioFor` says nothing. Default `echo`, or no such agent with `scenarioFor`. */
  readonly scenario?: ScenarioName | Scenario;
  /** How one agent (or workflow) behaves. Asked for every connection, or before it for the handshake that leads to it. */
  readonly scenarioFor?: (agentId: string) => ScenarioName | Scenario | undefined;
  /** What the named scenarios say. Default: tones. */
  readonly speech?: Speech;
  /** What a handshake's answer says instead of the right URL. */
  readonly websocketUrl?: (url: string) => string;
  /** PEM. With it `wss:` and `https:` are served instead of `ws:` and `http:`. */
  readonly tls?: { readonly key: string; readonly cert: string };
  /** How much audio to keep of each session. Default two minutes. */
  readonly recordMs?: number;
  /** When its own thread stood still, which is not complained about (`StallWatch`). */
  readonly stalledMs?: StalledMs;
  readonly clock?: Clock;
  readonly logger?: Logger;
}

export interface SimulatorEvents {
  /** A client connected; its scenario has not begun. */
  session: [session: SimulatorSession];
  /** A handshake has been answered. */
  handshake: [handshake: HandshakeReport];
}

export interface SimulatorReport {
  readonly url: string;
  readonly sessions: readonly SimulatorSessionReport[];
  readonly handshakes: readonly HandshakeReport[];
}

const MAX_MESSAGE_BYTES = 1024 * 1024;
const CLOSE_TIMEOUT_MS = 1_000;
/** Ended sessions beyond this many are forgotten, the oldest first. */
const MAX_ENDED_SESSIONS = 50;
const MAX_HANDSHAKES = 50;
/** Scenarios waiting for connections that may never come, for one agent. */
const MAX_CHOSEN = 100;
const DEFAULT_RECORD_MS = 120_000;

/**
 * A server that speaks Pranthora's published guide to the letter and complains about clients that do not. Its agents
 * follow scenarios instead of models.
 */
export class PranthoraSimulator extends EventEmitter<SimulatorEvents> {
  /** Every open session and the latest of the ended ones, in order of arrival. */
  readonly sessions: SimulatorSession[] = [];
  /** The latest, in order. */
  readonly handshakes: HandshakeReport[] = [];
  readonly #options: SimulatorOptions;
  readonly #clock: Clock;
  readonly #speech: Speech;
  readonly #http: Server;
  readonly #webSockets: WebSocketServer;
  readonly #handshakes: HandshakeEndpoint;
  readonly #conformance = new ConformanceLedger();
  readonly #chosen = new Map<string, Scenario[]>();
  #url = '';
  #nextId = 1;

  constructor(options: SimulatorOptions = {}) {
    super();
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#speech = options.speech ?? toneSpeech();
    const webSocketOptions = {
      noServer: true,
      clientTracking: true,
      perMessageDeflate: false,
      maxPayload: MAX_MESSAGE_BYTES,
      closeTimeout: CLOSE_TIMEOUT_MS,
    };
    this.#webSockets = new WebSocketServer(webSocketOptions);
    this.#handshakes = new HandshakeEndpoint({
      apiKey: options.apiKey,
      answer: (asked) => this.#answerHandshake(asked),
      report: (report) => this.#onHandshake(report),
    });
    const onRequest = (request: IncomingMessage, response: ServerResponse): void => this.#onRequest(request, response);
    this.#http = options.tls ? createSecureServer(options.tls, onRequest) : createServer(onRequest);
    this.#http.on('upgrade', (request, socket, head) => this.#onUpgrade(request, socket, head));
  }

  /** @returns the base URL, as for `pranthora.url`. Rejects when the port is taken. */
  async start(): Promise<{ url: string }> {
    const { host = '127.0.0.1', port = 0 } = this.#options;
    this.#http.listen(port, host);
    await once(this.#http, 'listening');
    const address = this.#http.address();
    if (address === null || typeof address === 'string') throw new Error('not listening on TCP');
    this.#url = `${this.#options.tls ? 'wss' : 'ws'}://${host.includes(':') ? `[${host}]` : host}:${address.port}`;
    return { url: this.#url };
  }

  /** Breaks every connection and ends when all of them are gone. */
  async stop(): Promise<void> {
    for (const session of this.sessions) if (!session.isClosed) session.terminate();
    for (const socket of this.#webSockets.clients) socket.terminate();
    if (!this.#http.listening) return;
    const httpClosed = once(this.#http, 'close');
    this.#http.close();
    this.#http.closeAllConnections();
    await new Promise((resolve) => this.#webSockets.close(resolve));
    await httpClosed;
  }

  /** Plain JSON: all that happened. */
  report(): SimulatorReport {
    const sessions = this.sessions.map((session) => session.report());
    return { url: this.#url, sessions, handshakes: [...this.handshakes] };
  }

  /** Which rules of the guide every client has kept, by what is over by now. Plain JSON. */
  conformance(): ClientConformance[] {
    return this.#conformance.report();
  }

  #onRequest(request: IncomingMessage, response: ServerResponse): void {
    if (request.method === 'POST' && request.url === HANDSHAKE_PATH) this.#handshakes.handle(request, response);
    else response.writeHead(404, { 'content-type': 'application/json' }).end('{"detail":"Not Found"}');
  }

  /** The scenario is chosen here and awaits the connection that is to follow: one choice for one call. */
  #answerHandshake(asked: AskedFor): string | number {
    const scenario = this.#scenarioOf(asked);
    if (!scenario) return 404;
    if (scenario.httpStatus !== undefined) return scenario.httpStatus;
    const path = mediaStreamPath(asked);
    const chosen = this.#chosen.get(path) ?? [];
    this.#chosen.set(path, [...chosen.slice(-MAX_CHOSEN), scenario]);
    const url = this.#url + path;
    return this.#options.websocketUrl?.(url) ?? url;
  }

  #onUpgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    socket.on('error', () => socket.destroy());
    const asked = readUpgrade(request.url ?? '', this.#url);
    if (!asked) {
      refuseUpgrade(socket, 404);
      return;
    }
    const refusal = this.#refusalOf(request, asked);
    const scenario = refusal ? undefined : this.#takeScenario(asked);
    if (scenario?.httpStatus !== undefined) {
      refuseUpgrade(socket, scenario.httpStatus);
      return;
    }
    this.#webSockets.handleUpgrade(request, socket, head, (webSocket) =>
      this.#accept(webSocket, request, asked, refusal ?? (scenario ? { scenario } : UNKNOWN)),
    );
  }

  #accept(
    webSocket: WebSocket,
    request: IncomingMessage,
    { protocol, asked, query }: ClientRequest,
    how: Reception,
  ): void {
    const session = new SimulatorSession(webSocket, {
      id: this.#nextId++,
      protocol,
      client: clientName(request),
      ...asked,
      clock: this.#clock,
      recordMs: this.#options.recordMs ?? DEFAULT_RECORD_MS,
      stalledMs: this.#options.stalledMs,
    });
    this.#remember(session);
    this.#log(session);
    this.emit('session', session);
    for (const complaint of [keyInUrlComplaint(request, query), how.complaint ?? idComplaint(asked)]) {
      if (complaint) session.complain(complaint.kind, complaint.detail);
    }
    session.run(how.scenario);
  }

  #refusalOf(request: IncomingMessage, { asked }: ClientRequest): Reception | undefined {
    const key = keyComplaint(request, this.#options.apiKey);
    if (key) return { scenario: refuse(4001, 'Unauthorized'), complaint: key };
    const id = idComplaint(asked);
    const isMissing = asked.agentId === undefined && asked.workflowId === undefined;
    return id && isMissing ? { scenario: refuse(4002, 'Missing agent_id or workflow_id'), complaint: id } : undefined;
  }

  /** The one that a handshake has chosen, or a new one; none for no such agent. */
  #takeScenario({ protocol, asked }: ClientRequest): Scenario | undefined {
    const chosen = protocol === 'telephony' ? this.#chosen.get(mediaStreamPath(asked))?.shift() : undefined;
    return chosen ?? this.#scenarioOf(asked);
  }

  #scenarioOf({ agentId, workflowId = '' }: AskedFor): Scenario | undefined {
    const { scenario, scenarioFor } = this.#options;
    const chosen = scenarioFor?.(agentId ?? workflowId) ?? scenario ?? (scenarioFor ? undefined : 'echo');
    return typeof chosen === 'string' ? namedScenario(chosen, this.#speech) : chosen;
  }

  #onHandshake(report: HandshakeReport): void {
    this.handshakes.push(report);
    this.#conformance.addHandshake(report);
    if (this.handshakes.length > MAX_HANDSHAKES) this.handshakes.shift();
    this.#options.logger?.info({ event: 'simulator.handshake', ...report });
    this.emit('handshake', report);
  }

  #remember(session: SimulatorSession): void {
    this.sessions.push(session);
    session.on('closed', () => {
      this.#conformance.addSession(session.report(), session.violations);
      const ended = this.sessions.filter(({ isClosed }) => isClosed);
      const [oldest] = ended;
      if (oldest && ended.length > MAX_ENDED_SESSIONS) this.sessions.splice(this.sessions.indexOf(oldest), 1);
    });
  }

  #log(session: SimulatorSession): void {
    const logger = this.#options.logger?.child({ session: session.id });
    if (!logger) return;
    const { agentId, workflowId } = session;
    logger.info({ event: 'simulator.session-opened', agentId, workflowId });
    session.on('violation', ({ kind, detail }) => logger.warn({ event: 'simulator.violation', kind, detail }));
    session.on('interrupted', () => logger.info({ event: 'simulator.interrupted' }));
    session.on('closed', () => logger.info({ event: 'simulator.session-closed', ...session.report() }));
  }
}

/** How a client is received. */
interface Reception {
  readonly scenario: Scenario;
  readonly complaint?: Complaint;
}

const UNKNOWN: Reception = {
  scenario: refuse(4003, 'Agent not found'),
  complaint: { kind: 'unknown-agent', detail: 'no such agent or workflow' },
};

function refuseUpgrade(socket: Duplex, status: number): void {
  const line = `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? 'Refused'}`;
  socket.end(`${line}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`, () => socket.destroy());
}
