// Symmetric RTP (RFC 4961): whose packets are the call's, and where ours go.
//
// Who sends has a rank:
//   signalled  the very address and port of the last SDP
//   host       another port of the SDP's address, or any of the address the SIP comes from
//   other      everybody else: media relays, phones behind NATs, and strangers
//
// The states, and what leads from one to another:
//
//   state     source is           ours go to     another one is taken
//   closed    nobody              nowhere        never: no SDP yet
//   open      nobody yet          the SDP's      signalled, host: at its first packet
//                                                other: when it fits, which is to say that it has sent PROVEN_BY_PACKETS
//                                                consecutive packets of one SSRC, of a payload type agreed on, in a run
//   trusted   the source, not     the source     as proven, and one of the same rank when it fits
//             known to fit
//   proven    the source, which   the source     signalled: at its first packet, always
//             has sent what fits                 of a higher rank: when it fits
//                                                one that was the source before, of the same rank, and was so for more
//                                                packets (ESTABLISHED_PACKETS count as all; then who was first): at its
//                                                first packet
//                                                `other`, within CONTEST_MS: when it fits and is nearer to the SIP's address
//   silent    the source, not     the source     as proven, and who fits and goes on with its stream (SSRC and sequence):
//             heard for a second                 moved behind another NAT, or to another network
//                                                who fits with another stream: after as much silence as there was sound (1 to
//                                                5 s), in which single packets count as silence if both are of one rank; `other`
//                                                never so from a source that is signalled or host, and proven
//
// A new address in the SDP leads to `open`. The one signalled until then is barred until it is signalled again, for its
// owner has said that it is not there any more; a source that no SDP named, for a second only: it was behind a NAT, and may
// be so still. Packets of a source being learned are kept and delivered when it is taken: no caller's first words are lost.
//
// What cannot be told: which of two is the caller, if neither has an address that signalling names, both send a whole stream
// from the beginning, and both are as near. The first one stays.
import type { RtpSource } from './rtp-source.js';
import {
  commonBits,
  isSame,
  SourceCandidates,
  withoutZone,
  type StreamPosition,
  type TransportAddress,
} from './rtp-source.js';

export type { TransportAddress } from './rtp-source.js';

/** Who may become the source of the call's RTP. `any`: all ranks. `expected`: not `other`. */
export type LatchMode = 'expected' | 'any';

const OTHER = 0;
const HOST = 1;
const SIGNALLED = 2;
type Rank = typeof OTHER | typeof HOST | typeof SIGNALLED;

/** A source silent for this long may have moved, or never have been the call's. */
const SILENT_AFTER_MS = 1_000;

/** Long before it, who may take its place is learned. */
const LEARN_AFTER_MS = SILENT_AFTER_MS / 2;

/** One that has been heard for long is waited for, though not longer than this. */
const MAX_PATIENCE_MS = 5_000;

/** Two seconds of 20 ms: who has sent as much is not outdone by one who sends for longer while it is silent. */
const ESTABLISHED_PACKETS = 100;

/** How long the first of several strangers may lose its place to a nearer one. */
const CONTEST_MS = 3_000;

/** How long a source that no SDP has named is kept out once an SDP has named another. */
const BARRED_MS = 1_000;

/** Sources remembered that were the call's before, and addresses barred. */
const MAX_REMEMBERED = 8;

/** `current`: of the call's source. `open`: what it sends decides, see `hear`. `refused`: not worth looking at. */
export type SourceStanding = 'current' | 'open' | 'refused';

/** What the SDP and the SIP say of where the other side is. */
export interface Described {
  /** Undefined when the SDP gives no address (0.0.0.0 for hold, RFC 3264 section 8.4, or a host name). */
  readonly signalled: TransportAddress | undefined;
  readonly mode: LatchMode;
  /** The address its SIP comes from. */
  readonly peer?: string | undefined;
}

/** The decisions above. Addresses are spelled as the socket reports them. */
export class SourceLatch {
  #mode: LatchMode | undefined;
  #signalled: TransportAddress | undefined;
  #peer: string | undefined;
  #current: RtpSource | undefined;
  /** By rank: a crowd of strangers must not take the places of better ones. */
  readonly #candidates = [OTHER, HOST, SIGNALLED].map(() => new SourceCandidates());
  #formers: RtpSource[] = [];
  #barred: { readonly at: TransportAddress; readonly untilMs: number }[] = [];

  /** Where to send: to the source of what comes, or while nothing has come, to the SDP's address. */
  get target(): TransportAddress | undefined {
    return this.#current?.at ?? this.#signalled;
  }

  /** Whether that is the host its SIP comes from. */
  get isTargetPeer(): boolean {
    const { target } = this;
    return target !== undefined && this.#isPeer(target.address);
  }

  /** Where RTP really comes from, once it does. */
  get source(): TransportAddress | undefined {
    return this.#current?.at;
  }

  /** The source, when nobody outranks it and it has sent for a while and of late: nobody else's packets are of interest. */
  settled(nowMs: number): TransportAddress | undefined {
    const current = this.#current;
    if (!current || this.#rankOf(current.at) !== SIGNALLED) return undefined;
    const isSettled = nowMs - current.sinceMs >= SILENT_AFTER_MS && nowMs - current.heardAtMs < LEARN_AFTER_MS;
    return isSettled ? current.at : undefined;
  }

  /** What signalling says, first or anew. Where the SDP gives no address, what was known before still holds. */
  expect({ signalled, mode, peer }: Described, nowMs: number): void {
    this.#mode = mode;
    this.#peer = peer;
    if (!signalled || isSame(this.#signalled, signalled.address, signalled.port)) return;
    const before = this.#signalled;
    this.#signalled = signalled;
    this.#barred = this.#barred.filter(({ at }) => !isSame(at, signalled.address, signalled.port));
    // Named for the first time: what came before may well be the same side behind NAT, and stays until the address speaks.
    if (!before) {
      this.#rerank();
      return;
    }
    this.#clearCandidates();
    this.#formers = [];
    if (isSame(this.#current?.at, signalled.address, signalled.port)) return;
    this.#leave(before, nowMs);
  }

  /** Another party takes the place of the one so far, of which nothing more is expected. */
  forget(nowMs: number): void {
    if (this.#signalled) this.#leave(this.#signalled, nowMs);
    this.#signalled = undefined;
    this.#current = undefined;
    this.#clearCandidates();
    this.#formers = [];
  }

  /** To be asked before a packet is looked into. */
  standing(address: string, port: number, nowMs: number): SourceStanding {
    // Nothing can be sent to port 0.
    if (this.#mode === undefined || port === 0) return 'refused';
    const current = this.#current;
    if (isSame(current?.at, address, port)) return 'current';
    const from = { address, port };
    const rank = this.#rankOf(from);
    if (rank === SIGNALLED) return 'open';
    if (rank === OTHER && this.#mode === 'expected') return 'refused';
    if (this.#isBarred(address, port, nowMs)) return 'refused';
    return !current || this.#mayContest(current, rank, from, nowMs) ? 'open' : 'refused';
  }

  /**
   * A packet of a source whose standing is `open`, and that could be the call's. Returns the packets that are the
   * call's by now, this one among them: none while the source is being learned.
   */
  hear(position: StreamPosition, from: TransportAddress, bytes: Buffer, nowMs: number): readonly Buffer[] {
    const source = this.#candidates[this.#rankOf(from)]?.hear(from, position, nowMs);
    if (!source) return [];
    if (!this.#mayTake(source, nowMs)) {
      source.hold(bytes);
      return [];
    }
    this.#take(source, nowMs);
    return [...source.takeHeld(), bytes];
  }

  /** A packet of a source whose standing is `current`. */
  heard(position: StreamPosition, nowMs: number): void {
    this.#current?.hear(position, nowMs);
  }

  /** Whether `hear` could come to take a source of that rank. */
  #mayContest(current: RtpSource, rank: Rank, from: TransportAddress, nowMs: number): boolean {
    const currentRank = this.#rankOf(current.at);
    if (rank > currentRank || nowMs - this.#activeAtMs(current, rank) >= LEARN_AFTER_MS) return true;
    if (rank < currentRank) return false;
    return !current.isProven || this.#isContested(current, rank, nowMs) || this.#isSenior(from, current);
  }

  #mayTake(source: RtpSource, nowMs: number): boolean {
    const rank = this.#rankOf(source.at);
    const current = this.#current;
    if (rank === SIGNALLED) return true;
    if (!current) return rank === HOST || source.fits;
    const currentRank = this.#rankOf(current.at);
    if (rank > currentRank && !current.isProven) return true;
    if (rank === currentRank && this.#isSenior(source.at, current)) return true;
    if (!source.fits) return false;
    if (rank > currentRank || (rank === currentRank && !current.isProven)) return true;
    if (this.#isOutdone(current, source, nowMs)) return true;
    if (source.continues(current)) return nowMs - current.heardAtMs >= SILENT_AFTER_MS;
    if (rank === OTHER && currentRank > OTHER && current.isProven) return false;
    const activeAtMs = this.#activeAtMs(current, rank);
    const soundMs = activeAtMs - current.sinceMs;
    return nowMs - activeAtMs >= Math.min(Math.max(soundMs, SILENT_AFTER_MS), MAX_PATIENCE_MS);
  }

  /** When the source was last heard. Single packets do not keep it its place before one of its own rank. */
  #activeAtMs(current: RtpSource, rank: Rank): number {
    return rank === this.#rankOf(current.at) ? current.ranAtMs : current.heardAtMs;
  }

  /** Only strangers are contested, for of all others the rank tells. */
  #isContested(current: RtpSource, rank: Rank, nowMs: number): boolean {
    const areStrangers = rank === OTHER && this.#rankOf(current.at) === OTHER;
    return areStrangers && nowMs - current.takenAtMs < CONTEST_MS;
  }

  /** It was the call's source for longer, and gave way because it was silent. */
  #isSenior(source: TransportAddress, current: RtpSource): boolean {
    const former = this.#formers.find(({ at }) => isSame(at, source.address, source.port));
    if (!former) return false;
    const lead = established(former) - established(current);
    const wasFirst = established(former) === ESTABLISHED_PACKETS && former.takenAtMs < current.takenAtMs;
    return lead > 0 || (lead === 0 && wasFirst);
  }

  #isOutdone(current: RtpSource, source: RtpSource, nowMs: number): boolean {
    const isContested = this.#isContested(current, this.#rankOf(source.at), nowMs);
    return isContested && this.#nearness(source.at) > this.#nearness(current.at);
  }

  #nearness({ address }: TransportAddress): number {
    const known = [this.#signalled?.address, this.#peer];
    return Math.max(...known.map((each) => (each === undefined ? 0 : commonBits(each, address))));
  }

  #rankOf({ address, port }: TransportAddress): Rank {
    const bare = withoutZone(address);
    const signalled = this.#signalled;
    if (signalled && withoutZone(signalled.address) === bare) {
      return signalled.port === port ? SIGNALLED : HOST;
    }
    return this.#isPeer(bare) ? HOST : OTHER;
  }

  #isPeer(address: string): boolean {
    return this.#peer !== undefined && withoutZone(this.#peer) === withoutZone(address);
  }

  #take(source: RtpSource, nowMs: number): void {
    for (const candidates of this.#candidates) candidates.remove(source);
    const former = this.#formers.find(({ at }) => isSame(at, source.at.address, source.at.port));
    source.packets += former?.packets ?? 0;
    source.takenAtMs = Math.min(former?.takenAtMs ?? nowMs, nowMs);
    this.#formers = this.#formers.filter((each) => each !== former);
    // One that a nearer one outdid has never been the call's.
    if (this.#current && !this.#isOutdone(this.#current, source, nowMs)) {
      this.#formers = [...this.#formers, this.#current].slice(-MAX_REMEMBERED);
    }
    source.sinceMs = nowMs;
    this.#current = source;
  }

  /** Nothing more is to come from the address signalled, nor for a while from the source. */
  #leave(signalled: TransportAddress, nowMs: number): void {
    if (this.#current) this.#bar(this.#current.at, nowMs + BARRED_MS);
    this.#bar(signalled, Infinity);
    this.#current = undefined;
  }

  /** RTP may be faster than the SDP that announces it: what has been kept of it is not lost with the rank it came in. */
  #rerank(): void {
    const sources = this.#candidates.flatMap((candidates) => candidates.takeAll());
    for (const source of sources) this.#candidates[this.#rankOf(source.at)]?.adopt(source);
  }

  #clearCandidates(): void {
    for (const candidates of this.#candidates) candidates.clear();
  }

  #bar(at: TransportAddress, untilMs: number): void {
    this.#barred = [...this.#barred, { at, untilMs }].slice(-MAX_REMEMBERED);
  }

  #isBarred(address: string, port: number, nowMs: number): boolean {
    return this.#barred.some(({ at, untilMs }) => nowMs < untilMs && isSame(at, address, port));
  }
}

const established = ({ packets }: RtpSource): number => Math.min(packets, ESTABLISHED_PACKETS);
