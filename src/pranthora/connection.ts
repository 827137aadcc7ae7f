import { WebSocket, type ClientOptions, type RawData } from 'ws';
import type { CancelTimer, Clock } from '../clock.js';
import {
  callEnded,
  classifyClose,
  classifyNetworkError,
  classifyUpgradeStatus,
  connectTimeout,
  invalidRequest,
  pingTimeout,
  startTimeout,
  type AgentEnding,
} from './endings.js';
import type { AgentMessageHandlers, AgentProtocol } from './protocol.js';
import type { FrameSink } from './uplink-queue.js';

export interface AgentConnectionOptions {
  /** Complete `ws:`/`wss:` URL. */
  readonly url: string;
  /** Goes into the `x-api-key` header of the upgrade and nowhere else. */
  readonly apiKey: string;
  /** From the first DNS query to the finished upgrade. */
  readonly connectTimeoutMs: number;
  /** From the upgrade to `start_media_streaming`. */
  readonly startTimeoutMs: number;
  readonly protocol: AgentProtocol;
  readonly clock: Clock;
}

export interface AgentConnectionHandlers {
  /** The upgrade is done. */
  onOpen(): void;
  /** The agent is ready to hear the caller: `send` works from now on. */
  onStart(info: { readonly connectMs: number; readonly startMs: number }): void;
  onAudio(bytes: Uint8Array): void;
  onInterruption(receivedAtMs: number, spelling: string): void;
  onMark(name: string): void;
  onIgnored(what: string): void;
  /** Exactly once, nothing after it, and never once `close` was called. */
  onEnding(ending: AgentEnding): void;
}

/** The longest utterance in one message that is believable: 16 MiB are 8 minutes of speech. */
const MAX_MESSAGE_BYTES = 16 * 1024 * 1024;
const CLOSE_TIMEOUT_MS = 1_000;
const PING_INTERVAL_MS = 10_000;

/** Above this the kernel has stopped taking our data; three frames, for TLS never has less than the last one pending. */
const MAX_UNSENT_BYTES = 2_048;

const BINARY_MESSAGE = { binary: true, compress: false, fin: true };
const NO_TIMER: CancelTimer = () => undefined;

/**
 * One WebSocket to Pranthora, from the DNS query to the closed socket. Every way it can end comes out as one
 * `onEnding`; nothing throws. One timer at a time watches it: for the upgrade, for the start, then for life.
 */
export class AgentConnection implements FrameSink {
  readonly #options: AgentConnectionOptions;
  readonly #handlers: AgentConnectionHandlers;
  readonly #messages: AgentMessageHandlers = {
    onMediaStart: () => {
      this.#onMediaStart();
    },
    onAudio: (bytes) => {
      this.#handlers.onAudio(bytes);
    },
    onInterruption: (spelling) => {
      this.#handlers.onInterruption(this.#options.clock.nowMs(), spelling);
    },
    onMark: (name) => {
      this.#handlers.onMark(name);
    },
    onHangup: () => {
      this.#end(callEnded);
    },
    onIgnored: (what) => {
      this.#handlers.onIgnored(what);
    },
  };
  #socket: WebSocket | undefined;
  #state: 'connecting' | 'awaiting-start' | 'streaming' | 'ended' = 'connecting';
  #cancelTimer = NO_TIMER;
  #openingAtMs = 0;
  #upgradedAtMs = 0;
  /** Something came in since the last ping was sent. */
  #isAlive = true;

  constructor(options: AgentConnectionOptions, handlers: AgentConnectionHandlers) {
    this.#options = options;
    this.#handlers = handlers;
  }

  /** Call once. What fails at once is reported later, never from within. */
  open(): void {
    const { clock, connectTimeoutMs } = this.#options;
    this.#openingAtMs = clock.nowMs();
    try {
      this.#socket = this.#connect();
    } catch (error) {
      const ending = invalidRequest(requestFault(error));
      this.#cancelTimer = clock.after(0, () => {
        this.#end(ending);
      });
      return;
    }
    this.#cancelTimer = clock.after(connectTimeoutMs, () => {
      this.#end(connectTimeout(connectTimeoutMs));
    });
  }

  /** False when a frame would only wait in this process: the network does not take our data, or it is over. */
  get isWritable(): boolean {
    return this.#state === 'streaming' && (this.#socket?.bufferedAmount ?? Infinity) <= MAX_UNSENT_BYTES;
  }

  /**
   * Sends one 20 ms frame, if the agent is ready for it.
   *
   * The bytes may be reused at once: a client masks what it sends (RFC 6455 5.3), and given a `Buffer` or typed array
   * ws writes the masked bytes into its own, leaving ours alone.
   */
  send(frame: Uint8Array): void {
    if (this.#state === 'streaming') this.#socket?.send(this.#options.protocol.encodeAudio(frame), BINARY_MESSAGE);
  }

  /** Says goodbye (1000) and lets go of the socket within a second, whether or not the other side answers. */
  close(): void {
    this.#release();
  }

  #connect(): WebSocket {
    // The connect timeout is ours alone: `handshakeTimeout` only watches for an idle socket, and a server that
    // sends one header byte a second is never idle. `closeTimeout` is missing in the type definitions.
    const options: ClientOptions & { closeTimeout: number } = {
      headers: { 'x-api-key': this.#options.apiKey },
      perMessageDeflate: false,
      followRedirects: false,
      maxPayload: MAX_MESSAGE_BYTES,
      closeTimeout: CLOSE_TIMEOUT_MS,
    };
    const socket = new WebSocket(this.#options.url, options);
    socket.on('open', () => {
      this.#onUpgraded();
    });
    socket.on('unexpected-response', (_request, response) => {
      this.#end(classifyUpgradeStatus(response.statusCode ?? 0));
    });
    socket.on('message', (data, isBinary) => {
      this.#onMessage(data, isBinary);
    });
    socket.on('pong', () => {
      this.#isAlive = true;
    });
    socket.on('error', (error) => {
      this.#end(classifyNetworkError(error));
    });
    socket.on('close', (code, reason) => {
      this.#end(classifyClose(code, reason.toString('utf8')));
    });
    return socket;
  }

  #onUpgraded(): void {
    if (this.#state !== 'connecting') return;
    const { clock, startTimeoutMs } = this.#options;
    this.#state = 'awaiting-start';
    this.#upgradedAtMs = clock.nowMs();
    this.#cancelTimer();
    this.#cancelTimer = clock.after(startTimeoutMs, () => {
      this.#end(startTimeout(startTimeoutMs));
    });
    this.#handlers.onOpen();
  }

  #onMediaStart(): void {
    if (this.#state !== 'awaiting-start') return;
    this.#state = 'streaming';
    this.#keepAlive();
    const connectMs = this.#upgradedAtMs - this.#openingAtMs;
    this.#handlers.onStart({ connectMs, startMs: this.#options.clock.nowMs() - this.#upgradedAtMs });
  }

  #onMessage(data: RawData, isBinary: boolean): void {
    this.#isAlive = true;
    // Always a Buffer with the default `binaryType`.
    if (this.#state !== 'ended' && Buffer.isBuffer(data)) this.#options.protocol.decode(data, isBinary, this.#messages);
  }

  /** A ping every 10 s; neither its pong nor anything else by the time of the next one, and the connection is dead. */
  #keepAlive(): void {
    this.#isAlive = false;
    this.#socket?.ping();
    this.#cancelTimer();
    this.#cancelTimer = this.#options.clock.after(PING_INTERVAL_MS, () => {
      if (this.#isAlive) this.#keepAlive();
      else this.#end(pingTimeout(PING_INTERVAL_MS));
    });
  }

  #end(ending: AgentEnding): void {
    if (this.#state === 'ended') return;
    this.#release();
    this.#handlers.onEnding(ending);
  }

  #release(): void {
    if (this.#state === 'ended') return;
    this.#state = 'ended';
    this.#cancelTimer();
    const socket = this.#socket;
    if (socket?.readyState === WebSocket.CONNECTING) socket.terminate();
    else socket?.close(1000);
  }
}

/** ws's own words repeat the URL, which may hold credentials. */
function requestFault(error: unknown): string {
  const isHeader = error instanceof TypeError && 'code' in error && error.code === 'ERR_INVALID_CHAR';
  return isHeader
    ? 'the API key holds characters no HTTP header may carry'
    : 'the agent URL is not a valid ws: or wss: URL';
}
