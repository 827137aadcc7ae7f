import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { encodeG711 } from '../audio/g711.js';
import { RTP_HEADER_BYTES } from '../rtp/packet.js';
import { RtpSender } from '../rtp/sender.js';
import type { Ticking } from '../bridge/scheduler.js';
import type { Clock } from '../clock.js';
import type { LoadFigures } from './load-figures.js';

const PACKET_SAMPLES = 160;
const PACKET_MS = 20;
/** Where in a packet it is looked whether there is speech in it. */
const PROBES = [RTP_HEADER_BYTES + 40, RTP_HEADER_BYTES + 83, RTP_HEADER_BYTES + 126] as const;
/** µ-law code words of samples near zero, without their sign. */
const QUIET_FROM = 0x70;

/** Every other packet is loud, so that the agent can tell them apart. */
const LOUD = Buffer.alloc(PACKET_SAMPLES);
encodeG711(
  'mulaw',
  Int16Array.from({ length: PACKET_SAMPLES }, (_, n) => Math.round(10_000 * Math.sin((2 * Math.PI * n) / 16 + 0.4))),
  0,
  PACKET_SAMPLES,
  LOUD,
  0,
);
const QUIET = Buffer.alloc(PACKET_SAMPLES, 0xff);

/** Loud packets on the way; more than the agent could be behind with. */
const MAX_UNDER_WAY = 256;

/** The audio of one caller: sends a packet at every tick, and times what comes. */
export class LoadPhone implements Ticking {
  packetsLost = 0;
  #packetsSent = 0;
  readonly #socket: Socket;
  readonly #clock: Clock;
  readonly #figures: LoadFigures;
  readonly #sender = new RtpSender({ payloadType: 0, payloadBytes: PACKET_SAMPLES, samplesPerPacket: PACKET_SAMPLES });
  /** When the loud packets were sent, by number. */
  readonly #sentAtMs = new Float64Array(MAX_UNDER_WAY);
  #loudSent = 0;
  #loudHeard = 0;
  #arrivedAtMs = NaN;
  #expectedSequence = -1;
  #stoppedAtMs = NaN;
  #lastTickMs = NaN;

  private constructor(socket: Socket, clock: Clock, figures: LoadFigures) {
    this.#socket = socket;
    this.#clock = clock;
    this.#figures = figures;
    // The callee has closed its port: it has hung up.
    socket.on('error', () => undefined);
    socket.on('message', (bytes) => this.#onPacket(bytes));
  }

  static async open(clock: Clock, figures: LoadFigures): Promise<LoadPhone> {
    const socket = createSocket('udp4');
    socket.bind(0, '127.0.0.1');
    await once(socket, 'listening');
    return new LoadPhone(socket, clock, figures);
  }

  get port(): number {
    return this.#socket.address().port;
  }

  /** Loud packets that have not become a loud frame of the agent's. */
  get unheard(): number {
    return this.#loudSent - this.#loudHeard;
  }

  async connect(rtpPort: number): Promise<void> {
    this.#socket.connect(rtpPort, '127.0.0.1');
    await once(this.#socket, 'connect');
  }

  tick(nowMs: number): void {
    const isLoud = this.#packetsSent % 2 === 0;
    const packet = this.#sender.nextPacket();
    packet.set(isLoud ? LOUD : QUIET, RTP_HEADER_BYTES);
    if (!Number.isNaN(this.#lastTickMs)) this.#figures.tickLateMs.add(nowMs - this.#lastTickMs - PACKET_MS);
    this.#lastTickMs = nowMs;
    this.#packetsSent += 1;
    if (isLoud) this.#sentAtMs[this.#loudSent++ % MAX_UNDER_WAY] = this.#clock.nowMs();
    this.#socket.send(packet);
  }

  skip(ticks: number): void {
    for (let i = 0; i < ticks; i++) this.#sender.skip();
  }

  /** The agent has heard the next loud packet. */
  heardLoud(nowMs: number): void {
    if (this.unheard === 0) return;
    this.#figures.uplinkMs.add(nowMs - (this.#sentAtMs[this.#loudHeard++ % MAX_UNDER_WAY] ?? NaN));
  }

  /** The agent is about to say `stop`: from the first packet without speech on it was obeyed. */
  stopping(): void {
    this.#stoppedAtMs = this.#clock.nowMs();
  }

  close(): void {
    this.#socket.close();
  }

  #onPacket(bytes: Buffer): void {
    const nowMs = this.#clock.nowMs();
    if (!Number.isNaN(this.#arrivedAtMs)) this.#figures.pacingMs.add(Math.abs(nowMs - this.#arrivedAtMs - PACKET_MS));
    this.#arrivedAtMs = nowMs;
    const sequence = bytes.readUInt16BE(2);
    if (this.#expectedSequence >= 0) this.packetsLost += (sequence - this.#expectedSequence) & 0xffff;
    this.#expectedSequence = (sequence + 1) & 0xffff;
    if (Number.isNaN(this.#stoppedAtMs) || isSpeech(bytes)) return;
    this.#figures.silenceMs.add(nowMs - this.#stoppedAtMs);
    this.#stoppedAtMs = NaN;
  }
}

function isSpeech(packet: Buffer): boolean {
  return PROBES.some((at) => ((packet[at] ?? 0xff) & 0x7f) < QUIET_FROM);
}
