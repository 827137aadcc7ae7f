import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';

/** A TCP server that does to its clients whatever a test wants. */
export class HostileServer {
  readonly sockets = new Set<Socket>();
  readonly #server: Server;

  constructor(onSocket: (socket: Socket) => void) {
    this.#server = createServer((socket) => {
      this.sockets.add(socket);
      socket.on('error', () => undefined);
      // Without a reader the end of the stream would never be seen.
      socket.on('data', () => undefined);
      socket.on('close', () => this.sockets.delete(socket));
      onSocket(socket);
    });
  }

  async start(): Promise<string> {
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
    const address = this.#server.address();
    if (address === null || typeof address === 'string') throw new Error('not TCP');
    return `ws://127.0.0.1:${address.port}`;
  }

  async stop(): Promise<void> {
    for (const socket of this.sockets) socket.destroy();
    const closed = once(this.#server, 'close');
    this.#server.close();
    await closed;
  }
}

/** Answers the upgrade on `socket` as a WebSocket server must (RFC 6455 4.2.2), then calls `onUpgraded`. */
export function acceptUpgrade(socket: Socket, onUpgraded: () => void): void {
  let head = '';
  const onData = (data: Buffer): void => {
    head += data.toString('latin1');
    if (!head.includes('\r\n\r\n')) return;
    socket.off('data', onData);
    const key = /^sec-websocket-key: *(\S+)/im.exec(head)?.[1] ?? '';
    const accept = createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64');
    socket.write(
      'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n' +
        `Sec-WebSocket-Accept: ${accept}\r\n\r\n`,
    );
    onUpgraded();
  };
  socket.on('data', onData);
}

/** An unmasked, final WebSocket frame (RFC 6455 5.2). */
export function webSocketFrame(opcode: number, payload: Buffer | string): Buffer {
  const body = Buffer.from(payload);
  if (body.length < 126) return Buffer.concat([Buffer.of(0x80 | opcode, body.length), body]);
  const header = Buffer.of(0x80 | opcode, 126, 0, 0);
  header.writeUInt16BE(body.length, 2);
  return Buffer.concat([header, body]);
}

export const OPCODE = { text: 1, binary: 2, close: 8, ping: 9, pong: 10 } as const;
export const START_FRAME = webSocketFrame(OPCODE.text, '{"event_type": "start_media_streaming"}');
