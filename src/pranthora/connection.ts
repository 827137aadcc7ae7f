import type { Socket } from 'node:net';
import { WebSocket, type ClientOptions, type RawData } from 'ws';
import { systemWallMs, type CancelTimer, type Clock } from '../clock.js';
import {
  callEnded,
  classifyClose,
  classifyRequestError,
  classifyUpgradeStatus,
  connectTimeout,
  pingTimeout,
  startTimeout,
  type AgentEnding,
} from './endings.js';
import { FlightWindow } from './flight-window.js';
import type { AgentNetwork, Route, RouteOptions } from './network.js';
import type { AgentMessageHandlers, AgentProtocol } from './protocols/protocol.js';
import { requestHeaders } from './request-headers.js';
import { retryAfterSec } from './retry-after.js';
import type { FrameSink } from './uplink-queue.js';

export interface AgentConnectionOptions {
  /** Complete `ws:`/`wss:` URL. */
  readonly url: string;
  /** Goes into the `x-api-key` header of the upgrade and nowhere else. */
  readonly apiKey: string;
  readonly agentCallId?: string;
  /** From the first DNS query to the finished upgrade. */
  readonly connectTimeoutMs: number;
  /** From the upgrade to being ready for audio. */
  readonly startTimeoutMs: number;
  /** Where the server need not say anything first: how long from the upgrade it must not have refused us. */
  readonly settleMs: number;
  /** For this connection alone: it may count what is sent. */
  readonly protocol: AgentProtocol;
  readonly network: AgentNetwork;
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
  onError(detail: string): void;
  onIgnored(what: string): void;
  /** Exactly once, nothing after it, and never once `close` was called. */
  onEnding(ending: AgentEnding): void;
}

const CLOSE_TIMEOUT_MS = 1_000;
const PING_INTERVAL_MS = 10_000;

/** Above this the kernel has stopped taking our data; some frames, for TLS never has less than the last one pending. */
const MAX_UNSENT_BYTES = 2_048;

/** A server that sends marks and never reads what comes back gets no more of it. */
const MAX_UNSENT_ECHO_BYTES = 64 * 1024;

const BINARY_MESSAGE = { binary: true, compress: false, fin: true };
const TEXT_MESSAGE = { binary: false, compress: false, fin: true };
const NO_TIMER: CancelTimer = () => undefined;

/**
 * One WebSocket to Pranthora, from the DNS query to the closed socket. Every way it can end comes out as one
 * `onEnding`; nothing throws. One timer at a time watches it: for the upgrade, for the start, then for life.
 */
export class AgentConnection implements FrameSink {
  readonly #options: AgentConnectionOptions;
  readonly #handlers: AgentConnectionHandlers;
  readonly #messages: AgentMessageHandlers = {
    onMediaStart: () => this.#onMediaStart(),
    onAudio: (bytes) => {
      this.#onAccepted();
      this.#handlers.onAudio(bytes);
    },
    onInterruption: (spelling) => {
      this.#onAccepted();
      this.#handlers.onInterruption(this.#options.clock.nowMs(), spelling);
    },
    onMark: (name) => {
      this.#onAccepted();
      this.#handlers.onMark(name);
    },
    onHangup: (spelling) => {
      // The call is over, the stream is not before we say so.
      this.#sendText(this.#options.protocol.closing());
      this.#end(callEnded(spelling));
    },
    // What a refusal may begin with.
    onError: (detail) => this.#handlers.onError(detail),
    onReport: () => this.#onAccepted(),
    onIgnored: (what) => {
      this.#onAccepted();
      this.#handlers.onIgnored(what);
    },
  };
  readonly #inFlight = new FlightWindow();
  #socket: WebSocket | undefined;
  /** What `#socket` is written to. */
  #stream: Socket | undefined;
  #route: Route | undefined;
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
      this.#cancelTimer = clock.after(0, () => this.#end(classifyRequestError(error)));
      return;
    }
    this.#cancelTimer = clock.after(connectTimeoutMs, () => this.#end(connectTimeout(connectTimeoutMs)));
  }

  /** False when a frame would only wait, in this process or the kernel: the network does not take our data, or it is over. */
  get isWritable(): boolean {
    if (this.#state !== 'streaming' || !this.#inFlight.isOpen) return false;
    return (this.#socket?.bufferedAmount ?? Infinity) <= MAX_UNSENT_BYTES;
  }

  /**
   * Sends one 20 ms frame, if the agent is ready for it.
   *
   * The bytes may be reused at once: a client masks what it sends (RFC 6455 5.3), and given a `Buffer` or typed array
   * ws writes the masked bytes into its own, leaving ours alone.
   */
  send(frame: Uint8Array): void {
    if (this.#state !== 'streaming') return;
    const message = this.#options.protocol.encodeAudio(frame);
    const isPingDue = this.#inFlight.sent();
    // With the frame, in one system call and one packet.
    if (isPingDue) this.#stream?.cork();
    this.#socket?.send(message, typeof message === 'string' ? TEXT_MESSAGE : BINARY_MESSAGE);
    if (!isPingDue) return;
    this.#ping();
    this.#stream?.uncork();
  }

  /** Tells the agent that its mark has been reached, where its protocol wants to hear of it. */
  echoMark(name: string): void {
    const isStuck = (this.#socket?.bufferedAmount ?? 0) > MAX_UNSENT_ECHO_BYTES;
    if (!isStuck) this.#sendText(this.#options.protocol.markEcho(name));
  }

  /** Tells the agent of a key the caller has pressed, where its protocol has a word for that. */
  sendDigit(digit: string): void {
    if (this.#state === 'streaming') this.#sendText(this.#options.protocol.digit(digit));
  }

  /** Says goodbye (1000) and lets go of the socket within a second, whether or not the other side answers. */
  close(): void {
    this.#sendText(this.#options.protocol.closing());
    this.#release();
  }

  #sendText(text: string | undefined): void {
    const isOpen = this.#state === 'awaiting-start' || this.#state === 'streaming';
    if (isOpen && text !== undefined) this.#socket?.send(text, TEXT_MESSAGE);
  }

  #connect(): WebSocket {
    const { url, protocol, network } = this.#options;
    const route = (this.#route = network.route(new URL(url)));
    // ws hands on to node:tls what it does not know, but has another type for `checkServerIdentity` than that.
    const way: Omit<RouteOptions, 'checkServerIdentity'> = route.options;
    // The connect timeout is ours alone: `handshakeTimeout` only watches for an idle socket, and a server that
    // sends one header byte a second is never idle. `closeTimeout` is missing in the type definitions.
    const options: ClientOptions & { closeTimeout: number } = {
      ...way,
      headers: requestHeaders(this.#options),
      perMessageDeflate: false,
      followRedirects: false,
      maxPayload: protocol.maxMessageBytes,
      closeTimeout: CLOSE_TIMEOUT_MS,
    };
    const socket = new WebSocket(url, options);
    socket.on('upgrade', (response) => {
      this.#stream = response.socket;
    });
    socket.on('open', () => this.#onUpgraded());
    socket.on('unexpected-response', (_request, response) => {
      const waitSec = retryAfterSec(response.headers, systemWallMs());
      this.#end(route.refusal() ?? classifyUpgradeStatus(response.statusCode ?? 0, waitSec));
    });
    socket.on('message', (data, isBinary) => this.#onMessage(data, isBinary));
    socket.on('pong', (data) => {
      if (this.#inFlight.pong(data, this.#options.clock.nowMs())) this.#ping();
      this.#isAlive = true;
      this.#settle();
    });
    socket.on('error', (error) => this.#end(route.classify(error)));
    socket.on('close', (code, reason) => this.#end(classifyClose(code, reason.toString('utf8'))));
    return socket;
  }

  #onUpgraded(): void {
    if (this.#state !== 'connecting') return;
    const { clock, protocol, startTimeoutMs } = this.#options;
    this.#state = 'awaiting-start';
    this.#upgradedAtMs = clock.nowMs();
    this.#cancelTimer();
    this.#cancelTimer = clock.after(startTimeoutMs, () =>
      this.#end(startTimeout(protocol.clientBegins ? 'sign of life' : 'start_media_streaming', startTimeoutMs)),
    );
    this.#handlers.onOpen();
    if (protocol.clientBegins) this.#beginStream();
  }

  /** Where the server has nothing to say before the audio, a pong tells that it is there. */
  #beginStream(): void {
    // The handler may have closed us.
    if (this.#state !== 'awaiting-start') return;
    this.#sendText(this.#options.protocol.opening());
    this.#socket?.ping();
  }

  /**
   * Pranthora refuses a key or an agent by closing what it has just accepted, once it has looked them up. A pong comes
   * from its WebSocket library, long before that; so a server that is silent is given time to refuse us.
   */
  #settle(): void {
    const { clock, protocol, settleMs } = this.#options;
    if (this.#state !== 'awaiting-start' || !protocol.clientBegins) return;
    const leftMs = this.#upgradedAtMs + settleMs - clock.nowMs();
    if (leftMs <= 0) {
      this.#onMediaStart();
      return;
    }
    this.#cancelTimer();
    this.#cancelTimer = clock.after(leftMs, () => this.#onMediaStart());
  }

  /** The server has said something that is no refusal. Where a start message is due, only that counts. */
  #onAccepted(): void {
    if (this.#options.protocol.clientBegins) this.#onMediaStart();
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
    this.#ping();
    this.#cancelTimer();
    this.#cancelTimer = this.#options.clock.after(PING_INTERVAL_MS, () => {
      if (this.#isAlive) this.#keepAlive();
      else this.#end(pingTimeout(PING_INTERVAL_MS));
    });
  }

  #ping(): void {
    this.#socket?.ping(this.#inFlight.ping(this.#options.clock.nowMs()));
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
    if (socket?.readyState === WebSocket.CONNECTING) {
      this.#route?.abort();
      socket.terminate();
    } else {
      socket?.close(1000);
    }
  }
}
