import { request as httpRequest, type ClientRequest, type IncomingMessage } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { systemWallMs, type CancelTimer, type Clock } from '../clock.js';
import {
  classifyRequestError,
  classifyUpgradeStatus,
  handshakeBroken,
  handshakeTimeout,
  type AgentEnding,
} from './endings.js';
import { readHandshakeAnswer, type AgentEndpoint } from './handshake-answer.js';
import type { AgentNetwork, Route } from './network.js';
import { requestHeaders } from './request-headers.js';
import { retryAfterSec } from './retry-after.js';
import type { AgentTarget } from './agent-target.js';
import { handshakeUrl } from './urls.js';

export interface HandshakeOptions {
  /** `ws:` or `wss:`. */
  readonly baseUrl: string;
  readonly target: AgentTarget;
  /** Goes into the `x-api-key` header and nowhere else. */
  readonly apiKey: string;
  readonly agentCallId?: string;
  /** From the first DNS query to the last byte of the answer. */
  readonly timeoutMs: number;
  readonly network: AgentNetwork;
  readonly clock: Clock;
}

export interface HandshakeHandlers {
  /** Where the WebSocket is to be opened. */
  onEndpoint(endpoint: AgentEndpoint): void;
  onEnding(ending: AgentEnding): void;
}

/** The answer known is about 100 bytes. */
const MAX_ANSWER_BYTES = 64 * 1024;
const NO_TIMER: CancelTimer = () => undefined;

/**
 * Asks Pranthora for the URL of a WebSocket (guide, "Integration Mode 2", step 1). Calls one of its handlers, once,
 * never from within `open` and never after `close`. By then its socket is gone.
 */
export class Handshake {
  readonly #options: HandshakeOptions;
  readonly #handlers: HandshakeHandlers;
  #request: ClientRequest | undefined;
  #route: Route | undefined;
  #cancelTimer = NO_TIMER;
  #closed = false;

  constructor(options: HandshakeOptions, handlers: HandshakeHandlers) {
    this.#options = options;
    this.#handlers = handlers;
  }

  /** Call once. */
  open(): void {
    const { clock, timeoutMs } = this.#options;
    try {
      this.#request = this.#post();
    } catch (error) {
      this.#cancelTimer = clock.after(0, () => this.#end(classifyRequestError(error)));
      return;
    }
    // A timer of our own: Node's only watch for an idle socket, and a byte a second keeps that one busy.
    this.#cancelTimer = clock.after(timeoutMs, () => this.#end(handshakeTimeout(timeoutMs)));
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#cancelTimer();
    this.#route?.abort();
    this.#request?.destroy();
  }

  #post(): ClientRequest {
    const { baseUrl, target, network } = this.#options;
    const url = handshakeUrl(baseUrl);
    const body = JSON.stringify(
      'agentId' in target ? { agent_id: target.agentId } : { workflow_id: target.workflowId },
    );
    const route = (this.#route = network.route(url));
    const headers = {
      ...requestHeaders(this.#options),
      'content-type': 'application/json',
      'content-length': Buffer.byteLength(body),
      accept: 'application/json',
      'accept-encoding': 'identity',
    };
    // `agent: false` is a socket of its own for this request, closed after it.
    const options = { method: 'POST', headers, agent: false as const, ...route.options };
    const request = url.protocol === 'https:' ? httpsRequest(url, options) : httpRequest(url, options);
    request.on('response', (response) => this.#onResponse(response));
    request.on('error', (error) => this.#end(route.classify(error)));
    request.end(body);
    return request;
  }

  #onResponse(response: IncomingMessage): void {
    const status = response.statusCode ?? 0;
    if (status < 200 || status >= 300) {
      const waitSec = retryAfterSec(response.headers, systemWallMs());
      this.#end(this.#route?.refusal() ?? classifyUpgradeStatus(status, waitSec));
      return;
    }
    const chunks: Buffer[] = [];
    let length = 0;
    response.on('data', (chunk: Buffer) => {
      length += chunk.length;
      chunks.push(chunk);
      if (length > MAX_ANSWER_BYTES) this.#end(handshakeBroken('more than 64 KB', status));
    });
    response.on('end', () => this.#onAnswer(Buffer.concat(chunks), status));
    response.on('error', (error) =>
      this.#end(this.#route?.classify(error) ?? handshakeBroken('half an answer', status)),
    );
  }

  #onAnswer(body: Buffer, status: number): void {
    if (this.#closed) return;
    const { baseUrl, network } = this.#options;
    const answer = readHandshakeAnswer(body, status, new URL(baseUrl), network);
    this.close();
    if ('kind' in answer) this.#handlers.onEnding(answer);
    else this.#handlers.onEndpoint(answer);
  }

  #end(ending: AgentEnding): void {
    if (this.#closed) return;
    this.close();
    this.#handlers.onEnding(ending);
  }
}
