import ipaddr from 'ipaddr.js';
import type { RtpHeader } from './packet.js';

export interface TransportAddress {
  /** IP literal. */
  readonly address: string;
  readonly port: number;
}

/** What of a packet tells which stream it belongs to, and where in it. */
export type StreamPosition = Pick<RtpHeader, 'ssrc' | 'sequenceNumber'>;

/** Consecutive packets that make a stream of what may be single packets sprayed over ports (cf. RFC 3550 A.1). */
const PROVEN_BY_PACKETS = 4;

/** Later than this after the one before it, a packet does not continue a run: speech comes at 5 packets a second at least. */
const MAX_GAP_MS = 200;

/** RFC 3550 A.1, MAX_DROPOUT: sequence numbers further ahead are another stream. */
const MAX_DROPOUT = 3_000;

/** A longer packet is not kept. 60 ms of L16 at 16 kHz have 1,920 bytes. */
const MAX_HELD_BYTES = 2_048;

/** One address that sends RTP: the one locked to, or one that may become it. */
export class RtpSource {
  readonly at: TransportAddress;
  /** Since it has been heard, or has been the call's source. */
  sinceMs: number;
  heardAtMs: number;
  /** When it was last sending a run, or was first heard. */
  ranAtMs: number;
  /** When it was the call's source for the first time. */
  takenAtMs = Infinity;
  packets = 0;
  #run = 0;
  #ssrc = 0;
  #sequenceNumber = 0;
  #isProven = false;
  #held: Buffer[] = [];

  constructor({ address, port }: TransportAddress, nowMs: number) {
    this.at = { address, port };
    this.sinceMs = this.heardAtMs = this.ranAtMs = nowMs;
  }

  /** It has once sent a run of consecutive packets of one stream. */
  get isProven(): boolean {
    return this.#isProven;
  }

  /** It is sending such a run now. */
  get fits(): boolean {
    return this.#run >= PROVEN_BY_PACKETS;
  }

  get isAtRunStart(): boolean {
    return this.#run <= 1;
  }

  /** Whether a run it was sending has not ended by now. */
  isSending(nowMs: number): boolean {
    return nowMs - this.heardAtMs <= MAX_GAP_MS;
  }

  hear({ ssrc, sequenceNumber }: StreamPosition, nowMs: number): void {
    const ahead = ssrc === this.#ssrc ? (sequenceNumber - this.#sequenceNumber) & 0xffff : undefined;
    // Some networks deliver each packet twice: that neither continues a run nor ends it.
    if (ahead === 0 && this.packets > 0) return;
    this.#run = ahead === 1 && this.isSending(nowMs) ? this.#run + 1 : 1;
    this.#isProven ||= this.fits;
    this.#ssrc = ssrc;
    this.#sequenceNumber = sequenceNumber;
    this.heardAtMs = nowMs;
    if (this.fits) this.ranAtMs = nowMs;
    this.packets += 1;
  }

  /** Keeps the packet heard last: what is said while a source is being learned is not lost when it is taken. */
  hold(bytes: Buffer): void {
    if (this.isAtRunStart) this.#held = [];
    if (bytes.length > MAX_HELD_BYTES) return;
    this.#held.push(bytes);
    if (this.#held.length >= PROVEN_BY_PACKETS) this.#held.shift();
  }

  /** The packets kept of the present run, oldest first; they are kept no longer. */
  takeHeld(): readonly Buffer[] {
    const held = this.isAtRunStart ? [] : this.#held;
    this.#held = [];
    return held;
  }

  /** Whether its last packet goes on with the stream of another source: the same sender, moved. */
  continues(other: RtpSource): boolean {
    const ahead = (this.#sequenceNumber - other.#sequenceNumber) & 0xffff;
    return this.#ssrc === other.#ssrc && ahead > 0 && ahead <= MAX_DROPOUT;
  }
}

/** Sources being learned at once: more than that an attacker with many addresses makes. */
const MAX_CANDIDATES = 32;

/** The sources being learned. However many there are, one that is sending a run keeps its place. */
export class SourceCandidates {
  #sources: RtpSource[] = [];

  /** Notes a packet. Undefined when there is no room for its source. */
  hear(from: TransportAddress, position: StreamPosition, nowMs: number): RtpSource | undefined {
    const source = this.#sources.find(({ at }) => isSame(at, from.address, from.port)) ?? this.#add(from, nowMs);
    source?.hear(position, nowMs);
    return source;
  }

  remove(source: RtpSource): void {
    this.#sources = this.#sources.filter((each) => each !== source);
  }

  clear(): void {
    this.#sources = [];
  }

  /** Gives up all of them, to whoever is to learn them now. */
  takeAll(): readonly RtpSource[] {
    const sources = this.#sources;
    this.#sources = [];
    return sources;
  }

  /** Goes on with one that another has learned so far; forgets it where there is no room. */
  adopt(source: RtpSource): void {
    if (this.#sources.length < MAX_CANDIDATES) this.#sources.push(source);
  }

  #add(from: TransportAddress, nowMs: number): RtpSource | undefined {
    const source = new RtpSource(from, nowMs);
    if (this.#sources.length < MAX_CANDIDATES) {
      this.#sources.push(source);
      return source;
    }
    const past = this.#sources.findIndex((each) => !each.isSending(nowMs));
    const replaced = past >= 0 ? past : this.#sources.findIndex((each) => each.isAtRunStart);
    if (replaced < 0) return undefined;
    // The place goes to the end, so that the oldest single packet is the next to make room.
    this.#sources.splice(replaced, 1);
    this.#sources.push(source);
    return source;
  }
}

export function isSame(known: TransportAddress | undefined, address: string, port: number): boolean {
  return known?.port === port && known.address === address;
}

/** An address without its zone (`%eth0`), which only a socket tells. */
export function withoutZone(address: string): string {
  const at = address.indexOf('%');
  return at < 0 ? address : address.slice(0, at);
}

/** What a provider has in common, in bytes. Less of it is shared by chance. */
const NETWORK_BYTES = { IPv4: 2, IPv6: 4 };

/** How many leading bits two addresses have in common; 0 where they are of different kinds, or of different networks. */
export function commonBits(one: string, other: string): number {
  if (!ipaddr.isValid(one) || !ipaddr.isValid(other)) return 0;
  const [a, b] = [ipaddr.process(one).toByteArray(), ipaddr.process(other).toByteArray()];
  if (a.length !== b.length) return 0;
  const at = a.findIndex((byte, i) => byte !== b[i]);
  if (at < 0) return 8 * a.length;
  if (at < (a.length === 4 ? NETWORK_BYTES.IPv4 : NETWORK_BYTES.IPv6)) return 0;
  return 8 * at + Math.clz32((a[at] ?? 0) ^ (b[at] ?? 0)) - 24;
}
