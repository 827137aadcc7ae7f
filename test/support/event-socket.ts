import { once } from 'node:events';
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';

/** What the server does with the n-th command of a connection; the 0th is its greeting. */
export type Script = readonly ((socket: Socket) => void)[];

/** FreeSWITCH's event socket as far as the probe goes, or something else in its place. */
export class EventSocketServer {
  /** What was asked, by `\n\n`. */
  readonly commands: string[] = [];
  connections = 0;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  private constructor(script: Script) {
    this.#server = createServer((socket) => {
      this.connections += 1;
      this.#sockets.add(socket);
      socket.on('error', () => undefined);
      socket.on('close', () => this.#sockets.delete(socket));
      socket.setNoDelay(true);
      this.#serve(socket, script);
    });
  }

  static async listen(...script: Script): Promise<EventSocketServer> {
    const server = new EventSocketServer(script);
    server.#server.listen(0, '127.0.0.1');
    await once(server.#server, 'listening');
    return server;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  get open(): number {
    return this.#sockets.size;
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    if (!this.#server.listening) return;
    this.#server.close();
    await once(this.#server, 'close');
  }

  #serve(socket: Socket, [greet, ...answers]: Script): void {
    greet?.(socket);
    let unread = '';
    socket.on('data', (bytes) => {
      unread += bytes.toString('latin1');
      for (let end = unread.indexOf('\n\n'); end >= 0; end = unread.indexOf('\n\n')) {
        this.commands.push(unread.slice(0, end));
        unread = unread.slice(end + 2);
        answers.shift()?.(socket);
      }
    });
  }
}
