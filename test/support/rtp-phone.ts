import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { encodeG711 } from '../../src/audio/g711.js';
import { tone } from './signal.js';

const FRAME_SAMPLES = 160;
const FRAME_MS = 20;
const TELEPHONE_EVENT = 101;
const LAW = { 0: 'mulaw', 8: 'alaw' } as const;

export interface ReceivedRtp {
  readonly atMs: number;
  readonly payloadType: number;
}

/**
 * The media side of a telephone that is told everything: where to send, when to be silent, which digit to press. It sends
 * a tone, and keeps when which payload type came.
 */
export class RtpPhone {
  readonly received: ReceivedRtp[] = [];
  readonly #socket: Socket;
  readonly #payloadType: 0 | 8;
  readonly #frames: readonly Buffer[];
  #remote: { readonly address: string; readonly port: number } | undefined;
  #timer: NodeJS.Timeout | undefined;
  #sequence = 1_000;
  #frame = 0;

  private constructor(socket: Socket, payloadType: 0 | 8) {
    this.#socket = socket;
    this.#payloadType = payloadType;
    this.#frames = toneFrames(payloadType);
    socket.on('message', (bytes) => {
      this.received.push({ atMs: performance.now(), payloadType: (bytes[1] ?? 0) & 0x7f });
    });
  }

  static async open(payloadType: 0 | 8): Promise<RtpPhone> {
    const socket = createSocket('udp4');
    socket.bind(0, '127.0.0.1');
    await once(socket, 'listening');
    return new RtpPhone(socket, payloadType);
  }

  /** Its offer or answer. `version` grows with every change (RFC 3264 8). */
  sdp({ direction = 'sendrecv', version = 1 } = {}): string {
    const { port } = this.#socket.address();
    return [
      'v=0',
      `o=phone 1 ${version} IN IP4 127.0.0.1`,
      's=-',
      'c=IN IP4 127.0.0.1',
      't=0 0',
      `m=audio ${port} RTP/AVP ${this.#payloadType} ${TELEPHONE_EVENT}`,
      `a=rtpmap:${TELEPHONE_EVENT} telephone-event/8000`,
      `a=${direction}`,
      '',
    ].join('\r\n');
  }

  /** Sends a tone, a packet every 20 ms, to where the other side's SDP says. */
  talkTo(sdp: string): void {
    const [, address = ''] = /^c=IN IP4 (\S+)/m.exec(sdp) ?? [];
    const [, port] = /^m=audio (\d+)/m.exec(sdp) ?? [];
    this.#remote = { address, port: Number(port) };
    this.#timer ??= setInterval(() => this.#sendTone(), FRAME_MS);
  }

  beSilent(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  /** RFC 4733: the key is held for 100 ms, and its end told three times. */
  press(digit: number): void {
    this.#sequence += 1;
    const timestamp = this.#sequence * FRAME_SAMPLES;
    for (let packet = 1; packet <= 7; packet++) {
      const isEnd = packet >= 5;
      const event = Buffer.from([digit, isEnd ? 0x8a : 0x0a, 0, 0]);
      event.writeUInt16BE(FRAME_SAMPLES * Math.min(packet, 5), 2);
      this.#send(TELEPHONE_EVENT, event, { timestamp, marker: packet === 1 });
    }
  }

  /** Packets of the agent's since `fromMs`. */
  heardSince(fromMs: number): number {
    return this.received.filter(({ atMs, payloadType }) => atMs >= fromMs && payloadType === this.#payloadType).length;
  }

  async close(): Promise<void> {
    this.beSilent();
    this.#socket.close();
    await once(this.#socket, 'close');
  }

  #sendTone(): void {
    const payload = this.#frames[this.#frame++ % this.#frames.length];
    if (payload) this.#send(this.#payloadType, payload, { timestamp: (this.#sequence + 1) * FRAME_SAMPLES });
  }

  #send(
    payloadType: number,
    payload: Buffer,
    { timestamp, marker = false }: { timestamp: number; marker?: boolean },
  ): void {
    this.#sequence += 1;
    const header = Buffer.alloc(12);
    header[0] = 0x80;
    header[1] = payloadType | (marker ? 0x80 : 0);
    header.writeUInt16BE(this.#sequence & 0xffff, 2);
    header.writeUInt32BE(timestamp >>> 0, 4);
    header.writeUInt32BE(0x50484f4e, 8);
    if (this.#remote) this.#socket.send(Buffer.concat([header, payload]), this.#remote.port, this.#remote.address);
  }
}

/** A second of 500 Hz: whole periods in every frame. */
function toneFrames(payloadType: 0 | 8): Buffer[] {
  const samples = tone({ rateHz: 8_000, frequencyHz: 500, levelDbm0: -10, durationMs: 1_000 });
  return Array.from({ length: samples.length / FRAME_SAMPLES }, (_, n) => {
    const frame = Buffer.alloc(FRAME_SAMPLES);
    encodeG711(LAW[payloadType], samples, n * FRAME_SAMPLES, FRAME_SAMPLES, frame, 0);
    return frame;
  });
}
