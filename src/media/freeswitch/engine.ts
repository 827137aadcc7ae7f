import { randomInt } from 'node:crypto';
import type { StreamEncoding } from '../../audio/encodings.js';
import type { Clock } from '../../clock.js';
import { errorText } from '../../error-text.js';
import type { Logger } from '../../logger.js';
import type { EmbeddedMediaEngine } from '../embedded.js';
import {
  MediaUnavailable,
  type AcceptedOffer,
  type AdvertisedTo,
  type BridgeAddress,
  type MediaEngine,
  type MediaLeg,
} from '../engine.js';
import type { RtpTargets } from '../rtp-targets.js';
import { negotiateOffer, writeStream, type CodecName, type CodecOrder, type NegotiatedOffer } from '../sdp.js';
import type { EventSocketAddress } from './event-socket-probe.js';
import { FreeSwitchLeg } from './leg.js';
import { FreeSwitchServer } from './server.js';

/** Stands for the RTP port of a caller whose answer will tell it; nothing is sent before. */
const DISCARD_PORT = 9;

/** What FreeSWITCH speaks to callers besides G.711, and before it where the order is ours. */
const WIDEBAND: readonly CodecName[] = ['OPUS', 'G722'];

export interface FreeSwitchEngineOptions {
  readonly servers: readonly EventSocketAddress[];
  /** `media.codecs`: narrowband, in order of preference. */
  readonly codecs: readonly ('PCMU' | 'PCMA')[];
  /** `media.codecOrder`: whose order decides about a caller's offer. */
  readonly codecOrder: CodecOrder;
  /** `media.advertise`: FreeSWITCH's address as callers reach it, when it is not its own. */
  readonly advertise?: AdvertisedTo;
  /** Where callers may have their RTP. */
  readonly targets: RtpTargets;
  /** Our SIP, through which FreeSWITCH is called. */
  readonly srf: object;
  /** Takes a caller over whose FreeSWITCH is gone, when it speaks G.711. */
  readonly embedded: EmbeddedMediaEngine;
  /** Names this bridge among those that share a FreeSWITCH, the same after a restart. */
  readonly owner: string;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** FreeSWITCH anchors the caller; its RTP to the bridge is the caller's G.711 untouched, or 16 kHz L16. */
export class FreeSwitchMediaEngine implements MediaEngine {
  readonly name = 'freeswitch';
  readonly #options: FreeSwitchEngineOptions;
  readonly #servers: readonly FreeSwitchServer[];

  constructor(options: FreeSwitchEngineOptions) {
    this.#options = options;
    this.#servers = options.servers.map((address) => new FreeSwitchServer({ ...options, address }));
  }

  /** Resolves when every server has been tried once; those that are away are tried again and again. */
  async start(): Promise<void> {
    await Promise.all(this.#servers.map((server) => server.start()));
  }

  stop(): void {
    for (const server of this.#servers) server.stop();
  }

  /** For `/health`: how many servers are there, and what is wrong with the others. */
  state(): { up: number; servers: number; detail: string } {
    const up = this.#servers.filter((server) => server.up).length;
    const detail = this.#servers.map(({ name, detail, load }) => `${name}: ${detail}, ${load} channels`).join('; ');
    return { up, servers: this.#servers.length, detail };
  }

  /** Channels of ours on all servers. */
  get channels(): number {
    return this.#servers.reduce((sum, server) => sum + server.load, 0);
  }

  accept(offer: string | undefined, offeredBy = ''): AcceptedOffer {
    const negotiated =
      offer === undefined ? undefined : negotiateOffer(offer, this.#codecs(), { order: this.#options.codecOrder });
    if (negotiated) this.#options.targets.check(negotiated.stream, offeredBy);
    return {
      codec: negotiated?.stream.codec ?? this.#options.codecs[0],
      connect: (bridgePort, localAddress, peerAddress = offeredBy) =>
        this.#connect({ bridgePort, localAddress, peerAddress }, negotiated),
    };
  }

  #codecs(): readonly CodecName[] {
    return [...WIDEBAND, ...this.#options.codecs];
  }

  /** The least loaded of the servers that are there; when it fails, the next one. */
  async #connect(at: BridgeAddress, negotiated: NegotiatedOffer | undefined): Promise<MediaLeg> {
    const failures: string[] = [];
    for (const server of this.#byLoad()) {
      try {
        return await this.#connectTo(server, at, negotiated);
      } catch (error) {
        failures.push(errorText(error));
      }
    }
    throw new MediaUnavailable(failures.length > 0 ? failures.join('; ') : `no FreeSWITCH: ${this.state().detail}`);
  }

  #byLoad(): FreeSwitchServer[] {
    return this.#servers.filter((server) => server.up).sort((a, b) => a.load - b.load);
  }

  async #connectTo(
    server: FreeSwitchServer,
    at: BridgeAddress,
    negotiated: NegotiatedOffer | undefined,
  ): Promise<MediaLeg> {
    const encoding = encodingFor(negotiated?.stream.codec ?? this.#options.codecs[0] ?? 'PCMU');
    const streamTo = (port: number): string =>
      writeStream(
        { sessionId: randomInt(1, 2 ** 31), version: 1, rtp: { address: server.localAddress, port } },
        encoding,
      );
    const [caller, bridge] = await both(server, [
      negotiated?.onlyStream() ?? streamTo(DISCARD_PORT),
      streamTo(at.bridgePort),
    ]);
    try {
      await server.bridge(caller, bridge);
      return new FreeSwitchLeg({
        server,
        caller,
        bridge,
        encoding,
        advertise: this.#options.advertise?.(at.peerAddress),
        codecs: this.#codecs(),
        codecOrder: this.#options.codecOrder,
        offeredCodecs: this.#options.codecs,
        negotiated,
        peerAddress: at.peerAddress,
        checkTarget: (stream) => this.#options.targets.check(stream, at.peerAddress),
        replaceWith: (lastOffer) => this.#replacement(at, lastOffer),
      });
    } catch (error) {
      await Promise.all([server.destroyEndpoint(caller), server.destroyEndpoint(bridge)]);
      throw error;
    }
  }

  /** The bridge's own RTP for a caller that speaks G.711, another FreeSWITCH for one that does not. */
  async #replacement(at: BridgeAddress, lastOffer: string | undefined): Promise<MediaLeg> {
    if (lastOffer === undefined || offersAny(lastOffer, this.#options.codecs)) {
      return this.#options.embedded.leg(at);
    }
    return this.#connect(at, negotiateOffer(lastOffer, this.#codecs()));
  }
}

/** Both channels at the same time; if one fails, the other is not left behind. */
async function both(
  server: FreeSwitchServer,
  [callerSdp, bridgeSdp]: readonly [string, string],
): Promise<
  [Awaited<ReturnType<FreeSwitchServer['createEndpoint']>>, Awaited<ReturnType<FreeSwitchServer['createEndpoint']>>]
> {
  const [caller, bridge] = await Promise.allSettled([
    server.createEndpoint(callerSdp),
    server.createEndpoint(bridgeSdp),
  ]);
  if (caller.status === 'fulfilled' && bridge.status === 'fulfilled') return [caller.value, bridge.value];
  for (const result of [caller, bridge]) {
    if (result.status === 'fulfilled') void server.destroyEndpoint(result.value);
  }
  const failed = caller.status === 'rejected' ? caller : bridge;
  throw failed.status === 'rejected' ? (failed.reason as Error) : new Error('no endpoint');
}

/** G.711 goes through FreeSWITCH untouched; everything else becomes 16 kHz. */
function encodingFor(codec: CodecName): StreamEncoding {
  return codec === 'PCMU' || codec === 'PCMA' ? codec : 'L16';
}

function offersAny(offer: string, codecs: readonly CodecName[]): boolean {
  try {
    negotiateOffer(offer, codecs);
    return true;
  } catch {
    return false;
  }
}
