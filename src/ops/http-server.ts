import { createServer } from 'node:http';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { errorText } from '../error-text.js';
import type { Logger } from '../logger.js';
import type { CallSnapshot } from '../records/call-snapshot.js';
import type { Health, Readiness } from './health.js';
import { redactNumbersInJson } from './redact-numbers.js';

/** What the endpoints tell; asked anew for every request. */
export interface HealthSource {
  health(): Health;
  ready(): Readiness;
  calls(): CallSnapshot[];
  call(callId: string): CallSnapshot | undefined;
}

export interface OpsHttpOptions {
  readonly host: string;
  /** 0 lets the system choose. */
  readonly port: number;
  /** Whether phone numbers are masked in what is told (`log.redactNumbers`). */
  readonly redactNumbers?: boolean;
  readonly source: HealthSource;
  readonly logger: Logger;
}

interface Reply {
  readonly status: number;
  readonly body: object;
}

/** Probes and a few people: whoever wants more connections than this is neither. */
const MAX_CONNECTIONS = 64;
const MAX_HEADER_BYTES = 8 * 1024;
const MAX_HEADERS = 50;
const HEADERS_TIMEOUT_MS = 5_000;
const REQUEST_TIMEOUT_MS = 10_000;
const KEEP_ALIVE_MS = 5_000;
const CALL_PATH = /^\/calls\/([^/]+)$/;

/** `GET /health`, `/ready`, `/calls` and `/calls/:callId` (percent-encoded), all JSON. */
export class OpsHttpServer {
  readonly #options: OpsHttpOptions;
  readonly #server: Server;
  #stopped: Promise<void> | undefined;

  constructor(options: OpsHttpOptions) {
    this.#options = options;
    const limits = {
      maxHeaderSize: MAX_HEADER_BYTES,
      headersTimeout: HEADERS_TIMEOUT_MS,
      requestTimeout: REQUEST_TIMEOUT_MS,
      keepAliveTimeout: KEEP_ALIVE_MS,
      connectionsCheckingInterval: KEEP_ALIVE_MS,
    };
    this.#server = createServer(limits, (request, response) => this.#answer(request, response));
    this.#server.maxHeadersCount = MAX_HEADERS;
    this.#server.maxConnections = MAX_CONNECTIONS;
  }

  /** Listens; resolves to where, as `http://address:port`. Rejects if the address cannot be bound. */
  async start(): Promise<string> {
    const { host, port, logger } = this.#options;
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen({ host, port }, () => {
        this.#server.off('error', reject);
        resolve();
      });
    });
    this.#server.on('error', (error) => logger.error({ event: 'http.fault', error: error.message }));
    const { address, family, port: bound } = this.#server.address() as AddressInfo;
    return `http://${family === 'IPv6' ? `[${address}]` : address}:${bound}`;
  }

  /** Closes the server and every connection to it. Idempotent. */
  stop(): Promise<void> {
    this.#stopped ??= new Promise((resolve) => {
      // The callback's error only says that the server was not listening, which is what was wanted.
      this.#server.close(() => resolve());
      this.#server.closeAllConnections();
    });
    return this.#stopped;
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    let reply: Reply;
    try {
      reply = this.#reply(request);
    } catch (error) {
      const reason = errorText(error);
      this.#options.logger.error({ event: 'http.fault', url: request.url, error: reason });
      reply = { status: 500, body: { error: 'internal error' } };
    }
    const json = JSON.stringify(reply.body);
    const body = `${this.#options.redactNumbers ? redactNumbersInJson(json) : json}\n`;
    response.writeHead(reply.status, {
      'content-type': 'application/json; charset=utf-8',
      'content-length': Buffer.byteLength(body),
      'cache-control': 'no-store',
      ...(reply.status === 405 ? { allow: 'GET, HEAD' } : {}),
      // Nobody sends a body with a GET for a good reason; hanging up saves reading it.
      ...(hasBody(request) ? { connection: 'close' } : {}),
    });
    response.end(body);
  }

  #reply(request: IncomingMessage): Reply {
    const [path = ''] = (request.url ?? '').split('?', 1);
    const resource = this.#resource(path);
    if (!resource) return { status: 404, body: { error: 'no such resource' } };
    if (request.method !== 'GET' && request.method !== 'HEAD') {
      return { status: 405, body: { error: 'only GET is allowed' } };
    }
    return resource();
  }

  #resource(path: string): (() => Reply) | undefined {
    const { source } = this.#options;
    switch (path) {
      case '/health':
        return () => healthReply(source.health());
      case '/ready':
        return () => readyReply(source.ready());
      case '/calls':
        return () => ({ status: 200, body: source.calls() });
      default: {
        const encoded = CALL_PATH.exec(path)?.[1];
        return encoded === undefined ? undefined : () => callReply(source, encoded);
      }
    }
  }
}

/** Degraded still serves calls: a 503 would have it restarted, and those calls cut. */
function healthReply(health: Health): Reply {
  return { status: health.status === 'down' ? 503 : 200, body: health };
}

function readyReply(readiness: Readiness): Reply {
  return { status: readiness.ready ? 200 : 503, body: readiness };
}

function callReply(source: HealthSource, encoded: string): Reply {
  const callId = decode(encoded);
  if (callId === undefined) return { status: 400, body: { error: 'not percent-encoded UTF-8' } };
  const call = source.call(callId);
  return call ? { status: 200, body: call } : { status: 404, body: { error: 'no such call' } };
}

function decode(encoded: string): string | undefined {
  try {
    return decodeURIComponent(encoded);
  } catch {
    return undefined;
  }
}

function hasBody(request: IncomingMessage): boolean {
  return request.headers['transfer-encoding'] !== undefined || Number(request.headers['content-length'] ?? 0) > 0;
}
