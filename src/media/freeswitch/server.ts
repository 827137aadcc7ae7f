import Mrf from 'drachtio-fsmrf';
import type { CancelTimer, Clock } from '../../clock.js';
import { errorText } from '../../error-text.js';
import type { Logger } from '../../logger.js';
import { bounded } from './bounded.js';
import { askEventSocket, type EventSocketAddress } from './event-socket-probe.js';
import type { EslConnection, MrfConstructor, MrfEndpoint, MrfMediaServer } from './fsmrf-types.js';

const PROFILE = 'drachtio_mrf';
const CONNECT_TIMEOUT_MS = 4_000;
/** FreeSWITCH answers in 0.1 s; one that takes longer than this hangs. */
const ENDPOINT_TIMEOUT_MS = 3_000;
const RETRY_INITIAL_MS = 250;
const RETRY_MAX_MS = 5_000;

/** A hung FreeSWITCH keeps its connections: it is asked for a sign of life this often. */
const HEARTBEAT_MS = 2_000;
const HEARTBEAT_TIMEOUT_MS = 1_500;

/** The channel variable that says whose channel it is, so that a restarted bridge can end what it left behind. */
const OWNER_HEADER = 'X-Pranthora-Bridge';

export interface FreeSwitchServerOptions {
  readonly address: EventSocketAddress;
  /** Our SIP, through which FreeSWITCH is called. */
  readonly srf: object;
  /** Names this bridge among those that share the FreeSWITCH, the same after a restart. */
  readonly owner: string;
  readonly clock: Clock;
  readonly logger: Logger;
}

/**
 * One FreeSWITCH. Connects to its event socket, again and again when it is gone; a connection that failed once is
 * thrown away, for drachtio-modesl answers API calls out of step after a loss.
 */
export class FreeSwitchServer {
  readonly #options: FreeSwitchServerOptions;
  readonly #name: string;
  #mediaServer: MrfMediaServer | undefined;
  #cancelTimer: CancelTimer | undefined;
  #retryMs = RETRY_INITIAL_MS;
  #detail = 'connecting';
  #localAddress = '';
  #stopped = false;
  readonly #endpoints = new Set<MrfEndpoint>();
  readonly #lostListeners = new Set<() => void>();
  /** Endpoints asked for and not there yet: they count, or a burst of calls would all go to the same server. */
  #pending = 0;

  constructor(options: FreeSwitchServerOptions) {
    this.#options = options;
    this.#name = `${options.address.host}:${options.address.port}`;
  }

  get name(): string {
    return this.#name;
  }

  get up(): boolean {
    return this.#mediaServer !== undefined;
  }

  get detail(): string {
    return this.#detail;
  }

  /** Our address as this FreeSWITCH reaches it: for the bridge's RTP, and for the event sockets it opens to us. */
  get localAddress(): string {
    return this.#localAddress;
  }

  /** Channels of ours on it. */
  get load(): number {
    return this.#endpoints.size + this.#pending;
  }

  /** Resolves after the first attempt, whether or not it succeeded; goes on trying by itself. */
  async start(): Promise<void> {
    try {
      await this.#connect();
    } catch (error) {
      this.#onDown(errorText(error));
    }
  }

  /** Leaves the server; its endpoints have been destroyed by their legs before. Idempotent. */
  stop(): void {
    this.#stopped = true;
    this.#cancelTimer?.();
    this.#mediaServer?.disconnect();
    this.#mediaServer = undefined;
  }

  /** Calls `listener` when the server is lost, until the returned function is called. */
  onLost(listener: () => void): () => void {
    this.#lostListeners.add(listener);
    return () => {
      this.#lostListeners.delete(listener);
    };
  }

  /** A channel on this FreeSWITCH whose other side is `remoteSdp`. */
  async createEndpoint(remoteSdp: string): Promise<MrfEndpoint> {
    const mediaServer = this.#mediaServer;
    if (!mediaServer) throw new Error(`FreeSWITCH ${this.#name}: ${this.#detail}`);
    this.#pending += 1;
    try {
      const endpoint = await this.request(
        mediaServer.createEndpoint({ remoteSdp, headers: { [OWNER_HEADER]: this.#options.owner } }),
        'endpoint',
        (late) => void this.destroyEndpoint(late),
      );
      this.#endpoints.add(endpoint);
      return endpoint;
    } finally {
      this.#pending -= 1;
    }
  }

  /** Joins two channels. Resolves when what either side says is heard on the other. */
  async bridge(caller: MrfEndpoint, bridge: MrfEndpoint): Promise<void> {
    // The answer to the command comes some 50 ms before the channels are joined; what was said meanwhile would be lost.
    const joined = new Promise((resolve) => caller.conn?.once(`esl::event::CHANNEL_BRIDGE::${caller.uuid}`, resolve));
    caller.conn?.subscribe('CHANNEL_BRIDGE');
    await this.request(caller.bridge(bridge), 'uuid_bridge');
    await this.request(joined, 'bridge');
  }

  /** Hangs a channel up. Never rejects: a FreeSWITCH that does not answer any more ends it when it does again. */
  async destroyEndpoint(endpoint: MrfEndpoint): Promise<void> {
    try {
      await this.#kill(endpoint);
    } catch (error) {
      this.#options.logger.debug({ event: 'freeswitch.hangup_failed', server: this.#name, err: error });
      this.#sayBye(endpoint);
    }
    this.#endpoints.delete(endpoint);
  }

  /** Not the endpoint's own `destroy`: the `hangup` it executes is lost on a channel that is just being bridged. */
  async #kill(endpoint: MrfEndpoint): Promise<void> {
    if (!this.#mediaServer) throw new Error(this.#detail);
    const gone = new Promise((resolve) => endpoint.once('destroy', resolve));
    const answer = await this.request(this.#mediaServer.api(`uuid_kill ${endpoint.uuid}`), 'uuid_kill');
    if (answer.startsWith('+OK')) await this.request(gone, 'hangup');
  }

  /** Ends our side of it; nobody waits for a FreeSWITCH that may be gone. */
  #sayBye(endpoint: MrfEndpoint): void {
    endpoint.dialog
      .destroy()
      .catch((error: unknown) =>
        this.#options.logger.debug({ event: 'freeswitch.bye_failed', server: this.#name, err: error }),
      );
  }

  /** Bounds any request to this server: by time, and by the server's loss. */
  request<T>(pending: Promise<T>, what: string, late?: (result: T) => void): Promise<T> {
    return bounded(pending, {
      ...this.#limit(ENDPOINT_TIMEOUT_MS, what),
      ...(late ? { late } : {}),
      watch: (fail) => this.onLost(() => fail(new Error(`FreeSWITCH ${this.#name}, ${what}: ${this.#detail}`))),
    });
  }

  async #connect(): Promise<void> {
    const { address, srf, clock, owner } = this.#options;
    const status = await askEventSocket(address, 'sofia status', { clock, timeoutMs: CONNECT_TIMEOUT_MS });
    this.#localAddress = status.localAddress;
    if (!new RegExp(`^\\s*${PROFILE}\\s`, 'm').test(status.body)) throw new Error(`no SIP profile ${PROFILE}`);
    const mrf = new (Mrf as MrfConstructor)(srf);
    const { host, port, secret } = address;
    const mediaServer = await bounded(mrf.connect({ address: host, port, secret, listenAddress: this.#localAddress }), {
      ...this.#limit(CONNECT_TIMEOUT_MS, 'connect'),
      late: (late) => late.disconnect(),
    });
    try {
      sendWithoutDelay(mediaServer);
      // What an earlier run of this bridge left behind is still bridged, and nobody else will end it.
      await bounded(
        mediaServer.api(`hupall NORMAL_CLEARING sip_h_${OWNER_HEADER} ${owner}`),
        this.#limit(1_000, 'hupall'),
      );
      if (this.#stopped) throw new Error('stopped');
    } catch (error) {
      mediaServer.disconnect();
      throw error;
    }
    this.#onUp(mediaServer);
  }

  #onUp(mediaServer: MrfMediaServer): void {
    this.#mediaServer = mediaServer;
    this.#retryMs = RETRY_INITIAL_MS;
    this.#detail = 'connected';
    mediaServer.conn.on('esl::end', () => this.#onLost(mediaServer, 'connection lost'));
    this.#scheduleHeartbeat(mediaServer);
    this.#options.logger.info({ event: 'freeswitch.up', server: this.#name });
  }

  #scheduleHeartbeat(mediaServer: MrfMediaServer): void {
    this.#cancelTimer = this.#options.clock.after(HEARTBEAT_MS, () => {
      bounded(mediaServer.api('uptime'), this.#limit(HEARTBEAT_TIMEOUT_MS, 'heartbeat')).then(
        () => {
          if (this.#mediaServer === mediaServer) this.#scheduleHeartbeat(mediaServer);
        },
        (error: unknown) => this.#onLost(mediaServer, errorText(error)),
      );
    });
  }

  #onLost(mediaServer: MrfMediaServer, detail: string): void {
    if (this.#mediaServer !== mediaServer || this.#stopped) return;
    this.#mediaServer = undefined;
    this.#cancelTimer?.();
    mediaServer.disconnect();
    this.#onDown(detail);
    for (const listener of [...this.#lostListeners]) listener();
  }

  #onDown(detail: string): void {
    if (this.#stopped) return;
    // Once per reason: a server that is away for a night does not fill the log.
    if (detail !== this.#detail) this.#options.logger.error({ event: 'freeswitch.down', server: this.#name, detail });
    this.#detail = detail;
    this.#cancelTimer = this.#options.clock.after(this.#retryMs, () => void this.start());
    this.#retryMs = Math.min(RETRY_MAX_MS, this.#retryMs * 2);
  }

  #limit(timeoutMs: number, what: string): { clock: Clock; timeoutMs: number; what: string } {
    return { clock: this.#options.clock, timeoutMs, what: `FreeSWITCH ${this.#name}, ${what}` };
  }
}

/** Each command is a small write that waits for an answer: with Nagle's algorithm it would wait 40 ms more. */
function sendWithoutDelay(mediaServer: MrfMediaServer): void {
  mediaServer.conn.socket?.setNoDelay(true);
  mediaServer._server.on('connection::open', (conn: EslConnection) => {
    conn.socket?.setNoDelay(true);
  });
}
