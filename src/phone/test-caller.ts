import { randomBytes } from 'node:crypto';
import { Scheduler } from '../bridge/scheduler.js';
import { systemClock, type Clock } from '../clock.js';
import type { Logger } from '../logger.js';
import type { StreamEncoding } from '../audio/encodings.js';
import { RtpEndpoint } from '../rtp/endpoint.js';
import type { RtpPacket } from '../rtp/packet.js';
import { PortPool } from '../rtp/port-pool.js';
import { DigestClient, type DigestCredentials } from '../signaling/auth/digest-client.js';
import { DrachtioSipEndpoint } from '../signaling/drachtio/drachtio.js';
import { SipAgent, type TlsCredentials } from '../sip-agent/index.js';
import { CallAudio } from './call-audio.js';
import { TestCall } from './test-call.js';

/** Away from the bridge's default range, so that both find free ports on one machine. */
const RTP_PORTS = { minPort: 30_000, maxPort: 39_999 };
const DEFAULT_MAX_RECORD_MS = 10 * 60_000;

export interface TestCallerOptions {
  readonly logger: Logger;
  readonly clock?: Clock;
  /** IP literal of this machine at which callees reach us; SIP and RTP sockets are bound to it. Default 127.0.0.1. */
  readonly address?: string;
  /** For calls over TLS, which take it: our certificate, and whom to believe. */
  readonly tls?: TlsCredentials;
}

export interface CallOptions {
  /** Default PCMU. */
  readonly codec?: StreamEncoding;
  /** Calling number, the user part of From. Default `test-caller`. */
  readonly from?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** For a callee that asks who is calling. */
  readonly credentials?: DigestCredentials;
  /** Audio recorded at most, in each direction: default ten minutes. */
  readonly maxRecordMs?: number;
}

/** What a caller still holds; all 0 when every call is over. */
export interface TestCallerHeld {
  readonly calls: number;
  readonly rtpPorts: number;
  readonly ticking: number;
  readonly sip: ReturnType<SipAgent['stats']>;
}

/**
 * A telephone for tests: places SIP calls from a port of its own and exchanges RTP, as many calls at once as wanted.
 * It owns its SIP agent and all its calls; `close` ends them.
 */
export class TestCaller {
  readonly #address: string;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #agent: SipAgent;
  readonly #sip: DrachtioSipEndpoint;
  readonly #scheduler: Scheduler;
  readonly #ports = new PortPool(RTP_PORTS);
  readonly #calls = new Set<TestCall>();
  #closing: Promise<void> | undefined;

  /** Resolves when calls can be placed. Rejects when no SIP port can be opened on the address. */
  static async start(options: TestCallerOptions): Promise<TestCaller> {
    const { address = '127.0.0.1', clock = systemClock, logger, tls } = options;
    const host = address.includes(':') ? `[${address}]` : address;
    const secret = randomBytes(16).toString('hex');
    const protocols = tls ? ['udp', 'tcp', 'tls'] : ['udp', 'tcp'];
    const listen = protocols.map((protocol) => `${protocol}://${host}:0`);
    const secure = tls && ({ ...tls, clientCertificate: 'never' } as const);
    const refusedMethods = ['MESSAGE', 'REFER'];
    const agent = new SipAgent({ listen, tls: secure, secret, clock, logger, refusedMethods });
    const { wire } = await agent.start();
    try {
      const sip = sipEndpoint({ ...wire, secret, clock, logger });
      await sip.connect();
      return new TestCaller({ address, clock, logger, agent, sip });
    } catch (error) {
      await agent.stop();
      throw error;
    }
  }

  private constructor(parts: {
    address: string;
    clock: Clock;
    logger: Logger;
    agent: SipAgent;
    sip: DrachtioSipEndpoint;
  }) {
    this.#address = parts.address;
    this.#clock = parts.clock;
    this.#logger = parts.logger;
    this.#agent = parts.agent;
    this.#sip = parts.sip;
    this.#scheduler = new Scheduler(parts.clock);
  }

  get held(): TestCallerHeld {
    return {
      calls: this.#calls.size,
      rtpPorts: this.#ports.inUse,
      ticking: this.#scheduler.size,
      sip: this.#agent.stats(),
    };
  }

  /** Sends an INVITE to `uri` (`sip:100@192.0.2.1:5060`, with `;transport=tcp` over TCP, as `sips:` or with `;transport=tls` over TLS). */
  call(uri: string, options: CallOptions = {}): TestCall {
    if (this.#closing) throw new Error('The test caller is closed');
    const { codec = 'PCMU', from = 'test-caller', headers = {}, maxRecordMs = DEFAULT_MAX_RECORD_MS } = options;
    const digest = options.credentials && new DigestClient(options.credentials);
    const audio = new CallAudio({
      codec,
      address: this.#address,
      maxRecordMs,
      scheduler: this.#scheduler,
      openRtp: (onPacket) => this.#openRtp(onPacket),
    });
    const call = new TestCall(
      { uri, codec, from, headers, ...(digest && { digest }) },
      { clock: this.#clock, sip: this.#sip, audio },
    );
    this.#calls.add(call);
    call.once('ended', () => {
      this.#calls.delete(call);
    });
    return call;
  }

  /** Hangs up every call and releases everything. Idempotent. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    await Promise.all([...this.#calls].map((call) => call.hangUp()));
    this.#sip.close();
    await this.#agent.stop();
  }

  #openRtp(onPacket: (packet: RtpPacket, nowMs: number) => void): Promise<RtpEndpoint> {
    return RtpEndpoint.open({
      bindAddress: this.#address,
      pool: this.#ports,
      clock: this.#clock,
      logger: this.#logger,
      isPlausible: () => true,
      onPacket,
    });
  }
}

/** A telephone that only calls: it takes no calls itself. */
function sipEndpoint(options: ConstructorParameters<typeof DrachtioSipEndpoint>[0]): DrachtioSipEndpoint {
  return new DrachtioSipEndpoint(options, {
    onInvite: (invite) => invite.reject({ status: 480, warning: 'The test caller takes no calls' }),
    onConnection: () => undefined,
  });
}
