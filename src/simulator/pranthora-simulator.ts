import { EventEmitter, once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import { WebSocketServer, type WebSocket } from 'ws';
import { systemClock, type Clock } from '../clock.js';
import type { Logger } from '../logger.js';
import { namedScenario, refuse, type ScenarioName } from './scenarios.js';
import { SimulatorSession, type Scenario, type SimulatorSessionReport } from './simulator-session.js';
import { toneSpeech, type Speech } from './speech.js';

export const WEB_MEDIA_STREAM_PATH = '/api/call/web-media-stream';

export interface SimulatorOptions {
  /** Default 127.0.0.1. */
  readonly host?: string;
  /** Default 0: any free port. */
  readonly port?: number;
  /** The only key accepted; without it, any key is, but there must be one. */
  readonly apiKey?: string;
  /** How every agent behaves for which `scenarioFor` says nothing. Default `echo`, or no such agent with `scenarioFor`. */
  readonly scenario?: ScenarioName | Scenario;
  /** How one agent (or workflow) behaves. Asked for every connection. */
  readonly scenarioFor?: (agentId: string) => ScenarioName | Scenario | undefined;
  /** What the named scenarios say. Default: tones. */
  readonly speech?: Speech;
  /** How much audio to keep of each session. Default two minutes. */
  readonly recordMs?: number;
  readonly clock?: Clock;
  readonly logger?: Logger;
}

export interface SimulatorEvents {
  /** A client connected; its scenario has not begun. */
  session: [session: SimulatorSession];
}

export interface SimulatorReport {
  readonly url: string;
  readonly sessions: readonly SimulatorSessionReport[];
}

const MAX_MESSAGE_BYTES = 1024 * 1024;
const CLOSE_TIMEOUT_MS = 1_000;
/** Ended sessions beyond this many are forgotten, the oldest first. */
const MAX_ENDED_SESSIONS = 50;
const DEFAULT_RECORD_MS = 120_000;

/**
 * A server that speaks Pranthora's published guide to the letter and complains about clients that do not. Its agents
 * follow scenarios instead of models.
 */
export class PranthoraSimulator extends EventEmitter<SimulatorEvents> {
  /** Every open session and the latest of the ended ones, in order of arrival. */
  readonly sessions: SimulatorSession[] = [];
  readonly #options: SimulatorOptions;
  readonly #clock: Clock;
  readonly #speech: Speech;
  readonly #http: Server;
  readonly #webSockets: WebSocketServer;
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
    this.#http = createServer(answerNotFound);
    this.#http.on('upgrade', (request, socket, head) => {
      this.#onUpgrade(request, socket, head);
    });
  }

  /** @returns the base URL, as for `pranthora.url`. Rejects when the port is taken. */
  async start(): Promise<{ url: string }> {
    const { host = '127.0.0.1', port = 0 } = this.#options;
    this.#http.listen(port, host);
    await once(this.#http, 'listening');
    const address = this.#http.address();
    if (address === null || typeof address === 'string') throw new Error('not listening on TCP');
    this.#url = `ws://${host.includes(':') ? `[${host}]` : host}:${address.port}`;
    return { url: this.#url };
  }

  /** Breaks every connection and ends when all of them are gone. */
  async stop(): Promise<void> {
    for (const socket of this.#webSockets.clients) socket.terminate();
    if (!this.#http.listening) return;
    const httpClosed = once(this.#http, 'close');
    this.#http.close();
    this.#http.closeAllConnections();
    await new Promise((resolve) => {
      this.#webSockets.close(resolve);
    });
    await httpClosed;
  }

  /** Plain JSON: all that happened. */
  report(): SimulatorReport {
    return { url: this.#url, sessions: this.sessions.map((session) => session.report()) };
  }

  #onUpgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    socket.on('error', () => socket.destroy());
    const url = URL.canParse(request.url ?? '', this.#url) ? new URL(request.url ?? '', this.#url) : undefined;
    if (url?.pathname !== WEB_MEDIA_STREAM_PATH) {
      socket.end('HTTP/1.1 404 Not Found\r\nConnection: close\r\nContent-Length: 0\r\n\r\n', () => socket.destroy());
      return;
    }
    this.#webSockets.handleUpgrade(request, socket, head, (webSocket) => {
      this.#accept(webSocket, request, url.searchParams);
    });
  }

  #accept(webSocket: WebSocket, request: IncomingMessage, query: URLSearchParams): void {
    const agentId = given(query, 'agent_id');
    const workflowId = given(query, 'workflow_id');
    const session = new SimulatorSession(webSocket, {
      id: this.#nextId++,
      ...(agentId !== undefined && { agentId }),
      ...(workflowId !== undefined && { workflowId }),
      clock: this.#clock,
      recordMs: this.#options.recordMs ?? DEFAULT_RECORD_MS,
    });
    this.#remember(session);
    this.#log(session);
    this.emit('session', session);
    session.run(this.#admit(session, request, query) ?? this.#refuseUnknown(session));
  }

  /** The scenario for a client that did everything right; a refusing one for one that did not; none for no agent. */
  #admit(session: SimulatorSession, request: IncomingMessage, query: URLSearchParams): Scenario | undefined {
    const key = request.headers['x-api-key'];
    const { apiKey = key } = this.#options;
    if (typeof key === 'string' && [...query.values()].includes(key)) {
      session.complain('api-key-in-url', 'the API key belongs in the x-api-key header alone');
    }
    if (!key || key !== apiKey) {
      session.complain('api-key', key ? 'wrong x-api-key' : 'no x-api-key');
      return refuse(4001, 'Unauthorized');
    }
    const id = session.agentId ?? session.workflowId;
    if (!id) {
      session.complain('agent-id', 'neither agent_id nor workflow_id');
      return refuse(4002, 'Missing agent_id or workflow_id');
    }
    if (session.agentId && session.workflowId) session.complain('agent-id', 'both agent_id and workflow_id');
    return this.#scenarioOf(id);
  }

  #scenarioOf(id: string): Scenario | undefined {
    const { scenario, scenarioFor } = this.#options;
    const chosen = scenarioFor?.(id) ?? scenario ?? (scenarioFor ? undefined : 'echo');
    return typeof chosen === 'string' ? namedScenario(chosen, this.#speech) : chosen;
  }

  #refuseUnknown(session: SimulatorSession): Scenario {
    session.complain('unknown-agent', 'no such agent or workflow');
    return refuse(4003, 'Agent not found');
  }

  #remember(session: SimulatorSession): void {
    this.sessions.push(session);
    session.on('closed', () => {
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
    session.on('violation', ({ kind, detail }) => {
      logger.warn({ event: 'simulator.violation', kind, detail });
    });
    session.on('interrupted', () => {
      logger.info({ event: 'simulator.interrupted' });
    });
    session.on('closed', () => {
      logger.info({ event: 'simulator.session-closed', ...session.report() });
    });
  }
}

/** An empty value is as good as none. */
function given(query: URLSearchParams, name: string): string | undefined {
  const value = query.get(name);
  return value === null || value === '' ? undefined : value;
}

function answerNotFound(_request: IncomingMessage, response: ServerResponse): void {
  response.writeHead(404, { 'content-type': 'application/json' }).end('{"detail":"Not Found"}');
}
