import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';

/** How a drachtio-server answers to `authenticate`. */
export type Authentication = (reply: Reply) => void;

/** What it does with the connection then. */
export interface Reply {
  /** As the real one takes a client. */
  ok(): void;
  /** As the real one refuses a client, and goes. */
  no(reason: string): void;
  noAndStay(reason: string): void;
  raw(text: string): void;
}

const HOST_PORTS = 'udp/192.0.2.1:5060,tcp/192.0.2.1:5060';

/** A SIP message of the client's. */
export interface SentMessage {
  readonly text: string;
  /** Tells the client what became of it. */
  readonly reply: (result: string) => void;
}

/** As much of drachtio-server's wire protocol as it takes to connect, over a real socket, and a count of all that was tried. */
export class DrachtioServer {
  /** Secret of each `authenticate` that came. */
  readonly secrets: string[] = [];
  /** Methods it was asked for by the client that is connected. */
  readonly routes: string[] = [];
  /** What the client that is connected has sent to the network. */
  readonly sent: SentMessage[] = [];
  connections = 0;
  authentication: Authentication;
  /** Gets each connection before anything is read. */
  onConnection: ((socket: Socket) => void) | undefined;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  private constructor(authentication: Authentication) {
    this.authentication = authentication;
    this.#server = createServer((socket) => this.#accept(socket));
  }

  static async listen(port: number, authentication: Authentication = (reply) => reply.ok()): Promise<DrachtioServer> {
    const server = new DrachtioServer(authentication);
    server.#server.listen(port, '127.0.0.1');
    await once(server.#server, 'listening');
    return server;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  get open(): number {
    return this.#sockets.size;
  }

  /** Tells the client of a message from the network. */
  tell(text: string, transactionId: string): void {
    const about = `sip|network|${text.length}|udp|192.0.2.9|5060|12:00:00.000001|${transactionId}`;
    for (const socket of this.#sockets) socket.write(frameOf(`${about}||192.0.2.1|5060|\r\n${text}`));
  }

  /** Connections end, the server stays. */
  endConnections(): void {
    for (const socket of this.#sockets) socket.end();
  }

  resetConnections(): void {
    for (const socket of this.#sockets) socket.resetAndDestroy();
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    this.#server.close();
    await once(this.#server, 'close');
  }

  #accept(socket: Socket): void {
    this.connections += 1;
    this.#sockets.add(socket);
    this.routes.splice(0);
    this.onConnection?.(socket);
    socket.on('error', () => undefined);
    socket.on('close', () => this.#sockets.delete(socket));
    let unread = '';
    socket.on('data', (bytes) => {
      unread = this.#read(socket, unread + bytes.toString('latin1'));
    });
  }

  /** Takes the complete frames from the front; returns the rest. */
  #read(socket: Socket, text: string): string {
    const hash = text.indexOf('#');
    const end = hash + 1 + Number(text.slice(0, Math.max(0, hash)));
    if (hash < 0 || text.length < end) return text;
    this.#onFrame(socket, text.slice(hash + 1, end));
    return this.#read(socket, text.slice(end));
  }

  #onFrame(socket: Socket, frame: string): void {
    const [id = '', type, argument = ''] = frame.split('|');
    if (type === 'route') {
      this.routes.push(argument);
      socket.write(frameOf(`response|${id}|OK`));
    } else if (type === 'sip') {
      const reply = (result: string): void => {
        socket.write(frameOf(`response|${id}|${result}`));
      };
      this.sent.push({ text: frame.slice(frame.indexOf('\r\n') + 2), reply });
    } else if (type === 'authenticate') {
      this.secrets.push(argument);
      this.authentication(replyOn(socket, id));
    }
  }
}

function replyOn(socket: Socket, id: string): Reply {
  return {
    ok: () => {
      socket.write(frameOf(`response|${id}|OK|${HOST_PORTS}|v0.9.10|${HOST_PORTS}`));
    },
    no: (reason) => {
      socket.end(frameOf(`response|${id}|NO|${reason}`));
    },
    noAndStay: (reason) => {
      socket.write(frameOf(`response|${id}|NO|${reason}`));
    },
    raw: (text) => {
      socket.write(text);
    },
  };
}

function frameOf(text: string): string {
  const frame = `${randomUUID()}|${text}`;
  return `${Buffer.byteLength(frame)}#${frame}`;
}
