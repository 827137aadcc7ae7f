import { createSocket, type RemoteInfo, type Socket } from 'node:dgram';
import { once } from 'node:events';

/** An RTP packet read byte by byte, without the product's own parser. */
export interface RawRtp {
  readonly payloadType: number;
  readonly marker: boolean;
  readonly sequenceNumber: number;
  readonly timestamp: number;
  readonly ssrc: number;
  readonly payload: Buffer;
}

/** The media side of a telephone: one UDP socket that keeps what comes, and sends what it is given to where that came from. */
export class RawPhone {
  readonly received: RawRtp[] = [];
  readonly #socket: Socket;
  #from: RemoteInfo | undefined;
  #arrived: (() => void) | undefined;
  #sequence = 65_530;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.on('message', (bytes, from) => {
      this.#from = from;
      this.received.push(parse(bytes));
      this.#arrived?.();
    });
  }

  static async open(): Promise<RawPhone> {
    const socket = createSocket('udp4');
    socket.bind(0, '127.0.0.1');
    await once(socket, 'listening');
    return new RawPhone(socket);
  }

  /** An answer or offer with one payload type, G.711's unless more is said of it, on this phone's port. */
  sdp(payloadType: number, direction = 'sendrecv'): string {
    const lines = ['v=0', 'o=phone 1 1 IN IP4 127.0.0.1', 's=-', 'c=IN IP4 127.0.0.1', 't=0 0'];
    const media = [`m=audio ${this.#socket.address().port} RTP/AVP ${payloadType}`, `a=${direction}`, ''];
    return [...lines, ...media].join('\r\n');
  }

  /** Resolves when `count` packets have come in all. */
  async packets(count: number): Promise<RawRtp[]> {
    while (this.received.length < count) await new Promise<void>((resolve) => (this.#arrived = resolve));
    return this.received;
  }

  /** Sends the next 20 ms, which are `units` of the timestamp. */
  send(payloadType: number, payload: Uint8Array, units = 160): void {
    const header = Buffer.alloc(12);
    header[0] = 0x80;
    header[1] = payloadType;
    header.writeUInt16BE(this.#sequence & 0xffff, 2);
    header.writeUInt32BE((this.#sequence * units) >>> 0, 4);
    header.writeUInt32BE(7, 8);
    this.#sequence += 1;
    if (this.#from) this.#socket.send(Buffer.concat([header, payload]), this.#from.port, this.#from.address);
  }

  /** Leaves out the next 20 ms, as a network does that loses a packet. */
  lose(): void {
    this.#sequence += 1;
  }

  async close(): Promise<void> {
    this.#socket.close();
    await once(this.#socket, 'close');
  }
}

function parse(bytes: Buffer): RawRtp {
  const second = bytes.readUInt8(1);
  return {
    payloadType: second & 0x7f,
    marker: second >= 0x80,
    sequenceNumber: bytes.readUInt16BE(2),
    timestamp: bytes.readUInt32BE(4),
    ssrc: bytes.readUInt32BE(8),
    payload: bytes.subarray(12),
  };
}
