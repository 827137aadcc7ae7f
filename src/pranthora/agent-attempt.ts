import { randomBytes } from 'node:crypto';
import type { CancelTimer, Clock } from '../clock.js';
import type { AgentAddress } from './agent-address.js';
import { AgentConnection, type AgentConnectionHandlers } from './connection.js';
import { classifyRequestError } from './endings.js';
import { Handshake } from './handshake.js';
import type { AgentEndpoint } from './handshake-answer.js';
import type { AgentNetwork } from './network.js';
import type { AgentProtocol, AudioFormat } from './protocols/protocol.js';
import { TelephonyProtocol } from './protocols/telephony-protocol.js';
import type { FrameSink } from './uplink-queue.js';
import { mediaStreamUrl, webMediaStreamUrl } from './urls.js';
import { webSocketProtocol } from './protocols/websocket-protocol.js';

export interface AgentReadyInfo {
  /** For everything up to the upgrade. */
  readonly connectMs: number;
  /** From there on. */
  readonly startMs: number;
  readonly format: AudioFormat;
}

export interface AgentAttemptHandlers extends Omit<AgentConnectionHandlers, 'onOpen' | 'onStart'> {
  /** The upgrade is done. */
  onOpen(format: AudioFormat): void;
  onStart(info: AgentReadyInfo): void;
}

export interface AgentAttemptOptions extends Omit<AgentAddress, 'apiKeys'> {
  /** Goes into the `x-api-key` header of the upgrade, and of the POST, and nowhere else. */
  readonly apiKey: string;
  /** How to get there: TLS, proxy, hosts the key may be shown to. One for many sessions. */
  readonly network: AgentNetwork;
  /** From the first DNS query to the finished upgrade, the handshake's POST included. */
  readonly connectTimeoutMs: number;
  /** From the upgrade to being ready for audio. */
  readonly startTimeoutMs: number;
  /** How long an agent without a start message must not have refused us before it counts as ready. */
  readonly settleMs: number;
  readonly clock: Clock;
}

/**
 * One attempt to converse with an agent, in whichever mode, until it ends: the handshake where there is one, then the
 * connection. Every way it can end comes out as one `onEnding`; nothing throws.
 */
export class AgentAttempt implements FrameSink {
  readonly #options: AgentAttemptOptions;
  readonly #handlers: AgentAttemptHandlers;
  #handshake: Handshake | undefined;
  #connection: AgentConnection | undefined;
  #cancelFailure: CancelTimer | undefined;

  constructor(options: AgentAttemptOptions, handlers: AgentAttemptHandlers) {
    this.#options = options;
    this.#handlers = handlers;
  }

  /** Call once. What fails at once is reported later, never from within. */
  open(): void {
    const { mode, clock } = this.#options;
    if (mode === 'handshake') {
      this.#shakeHands();
      return;
    }
    try {
      this.#connect(this.#knownEndpoint(mode), 0);
    } catch (error) {
      this.#cancelFailure = clock.after(0, () => this.#handlers.onEnding(classifyRequestError(error)));
    }
  }

  get isWritable(): boolean {
    return this.#connection?.isWritable ?? false;
  }

  send(frame: Uint8Array): void {
    this.#connection?.send(frame);
  }

  echoMark(name: string): void {
    this.#connection?.echoMark(name);
  }

  sendDigit(digit: string): void {
    this.#connection?.sendDigit(digit);
  }

  close(): void {
    this.#cancelFailure?.();
    this.#handshake?.close();
    this.#connection?.close();
  }

  #knownEndpoint(mode: AgentEndpoint['protocol']): AgentEndpoint {
    const { baseUrl, target } = this.#options;
    const url = mode === 'websocket' ? webMediaStreamUrl(baseUrl, target) : mediaStreamUrl(baseUrl, target);
    return { url, protocol: mode };
  }

  #shakeHands(): void {
    const { clock } = this.#options;
    const openingAtMs = clock.nowMs();
    this.#handshake = new Handshake(
      { ...this.#options, timeoutMs: this.#options.connectTimeoutMs },
      {
        onEndpoint: (endpoint) => this.#connect(endpoint, clock.nowMs() - openingAtMs),
        onEnding: (ending) => this.#handlers.onEnding(ending),
      },
    );
    this.#handshake.open();
  }

  /** @param spentMs of the time there is for connecting. */
  #connect({ url, protocol: kind }: AgentEndpoint, spentMs: number): void {
    const { connectTimeoutMs } = this.#options;
    const protocol = kind === 'websocket' ? webSocketProtocol : this.#telephonyProtocol();
    this.#connection = new AgentConnection(
      { ...this.#options, url, protocol, connectTimeoutMs: Math.max(0, Math.round(connectTimeoutMs - spentMs)) },
      {
        ...this.#handlers,
        onOpen: () => this.#handlers.onOpen(protocol.format),
        onStart: ({ connectMs, startMs }) =>
          this.#handlers.onStart({ connectMs: spentMs + connectMs, startMs, format: protocol.format }),
      },
    );
    this.#connection.open();
  }

  /** Every connection is a stream of its own; the call behind it stays the same. */
  #telephonyProtocol(): AgentProtocol {
    const { encoding, callSid, accountSid, customParameters } = this.#options;
    return new TelephonyProtocol({
      streamSid: `MZ${randomBytes(16).toString('hex')}`,
      callSid,
      encoding,
      ...(accountSid !== undefined && { accountSid }),
      ...(customParameters !== undefined && { customParameters }),
    });
  }
}
