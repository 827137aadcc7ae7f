import type { Socket } from 'node:net';
import type { CancelTimer, Clock } from '../../clock.js';
import { guardWire } from './srf-wire.js';
import type { SrfClient, SrfInstance } from './srf-types.js';

/**
 * From the first connection attempt to the server's authentication reply: a server may accept the connection and stay
 * silent.
 */
const CONNECT_TIMEOUT_MS = 4_000;

/** Interval between connection attempts: doubled each time, from the first value to the second. */
const RETRY_INITIAL_MS = 250;
const RETRY_MAX_MS = 3_000;

export interface DrachtioConnectionOptions {
  readonly host: string;
  readonly port: number;
  readonly secret: string;
  readonly clock: Clock;
}

export interface ConnectionState {
  readonly connected: boolean;
  /** The addresses SIP is spoken at, or why there is no connection. */
  readonly detail: string;
}

/**
 * Keeps drachtio-srf connected to its server. Each attempt uses a new client: drachtio-srf's own reconnection neither stops
 * on request nor backs off from a server that refuses us or closes the connection at once.
 */
export class DrachtioConnection {
  readonly #srf: SrfInstance;
  readonly #options: DrachtioConnectionOptions;
  readonly #onState: (state: ConnectionState) => void;
  #client: SrfClient | undefined;
  #cancelTimer: CancelTimer | undefined;
  #retryMs = RETRY_INITIAL_MS;
  #onFirstState: ((connected: boolean) => void) | undefined;
  /** The state reported last; `undefined` before the first report. */
  #state: ConnectionState | undefined;
  #closed = false;

  /** `onState` is called for changes only, once per reason: a server that is down for a night does not fill the log. */
  constructor(srf: SrfInstance, options: DrachtioConnectionOptions, onState: (state: ConnectionState) => void) {
    this.#srf = srf;
    this.#options = options;
    this.#onState = onState;
    // Without a listener an `error` event ends the process.
    srf.on('error', () => undefined);
  }

  /** Resolves after the first attempt, to whether it succeeded; goes on trying by itself. */
  open(): Promise<boolean> {
    return new Promise((resolve) => {
      this.#onFirstState = resolve;
      this.#attempt();
    });
  }

  /** Closes the connection, or stops the attempts to open one. Idempotent. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#cancelTimer?.();
    this.#leave();
    this.#onFirstState?.(false);
  }

  #attempt(): void {
    const { host, port, secret, clock } = this.#options;
    this.#srf.connect({ host, port, secret, reconnect: { maxAttempts: 1 } });
    const { client } = this.#srf._app;
    if (!client) throw new Error('drachtio-srf made no client');
    guardWire(client);
    this.#client = client;
    this.#cancelTimer = clock.after(CONNECT_TIMEOUT_MS, () =>
      this.#onGone(client, `no answer within ${CONNECT_TIMEOUT_MS} ms`),
    );
    client.on('connect', (error: Error | null, hostPorts?: string) => {
      if (error) this.#onRefused(client, error);
      else this.#onConnected(client, hostPorts ?? '');
    });
    client.on('error', (error: NodeJS.ErrnoException) => {
      // For a name with several IP addresses Node's error has an empty message.
      this.#onGone(client, error.message === '' ? (error.code ?? 'connection failed') : error.message);
    });
    client.on('close', () => this.#onGone(client, 'connection closed'));
  }

  #onConnected(client: SrfClient, hostPorts: string): void {
    if (client !== this.#client) return;
    this.#cancelTimer?.();
    this.#retryMs = RETRY_INITIAL_MS;
    this.#setState({ connected: true, detail: hostPorts });
  }

  /** A wrong secret stays wrong: the next attempt waits for the longest interval. */
  #onRefused(client: SrfClient, error: Error): void {
    if (client === this.#client) this.#retryMs = RETRY_MAX_MS;
    this.#onGone(client, error.message);
  }

  #onGone(client: SrfClient, detail: string): void {
    if (client !== this.#client) return;
    this.#leave();
    this.#cancelTimer?.();
    this.#cancelTimer = this.#options.clock.after(this.#retryMs, () => this.#attempt());
    this.#retryMs = Math.min(RETRY_MAX_MS, 2 * this.#retryMs);
    this.#setState({ connected: false, detail });
  }

  /** drachtio-srf's `disconnect` throws without a connection, and does not end one that is still being opened. */
  #leave(): void {
    const client = this.#client;
    this.#client = undefined;
    if (!client) return;
    client.wp.closing = true;
    client.wp.on('connect', (socket: Socket) => {
      socket.destroy();
    });
    for (const socket of client.mapServer.keys()) socket.destroySoon();
  }

  #setState(state: ConnectionState): void {
    if (this.#state?.connected === state.connected && this.#state.detail === state.detail) return;
    this.#state = state;
    this.#onState(state);
    this.#onFirstState?.(state.connected);
    this.#onFirstState = undefined;
  }
}
