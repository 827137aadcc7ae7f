import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { TLSSocket, type SecureContext } from 'node:tls';

/** The network between a client and a server on loopback: connections take their time, and can be broken at any moment. */
export class BreakingNetwork {
  /** How long the next connection takes until the server hears of it. */
  delayMs = 0;
  /** The server's port. */
  target = 0;
  /** Answers new connections with this, and lets them go no further. */
  garbage: string | undefined;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  /** With a secure context clients speak TLS, up to here. */
  constructor(secureContext?: SecureContext) {
    this.#server = createServer((socket) => {
      this.#keep(socket);
      if (this.garbage !== undefined) socket.write(this.garbage);
      else void this.#join(secureContext ? this.#secured(socket, secureContext) : socket);
    });
  }

  /** Resolves to the port clients connect to. */
  async start(): Promise<number> {
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
    const address = this.#server.address();
    if (address === null || typeof address === 'string') throw new Error('not TCP');
    return address.port;
  }

  /** Breaks every connection, without a word to either side. */
  break(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  /** Nothing of what the connections still carry arrives any more, and neither side is told. */
  swallow(): void {
    for (const socket of this.#sockets) socket.unpipe().resume();
  }

  async stop(): Promise<void> {
    this.break();
    if (!this.#server.listening) return;
    this.#server.close();
    await once(this.#server, 'close');
  }

  #secured(socket: Socket, secureContext: SecureContext): TLSSocket {
    const secured = new TLSSocket(socket, { isServer: true, secureContext });
    this.#keep(secured);
    return secured;
  }

  async #join(client: Socket): Promise<void> {
    await sleep(this.delayMs);
    if (client.destroyed) return;
    const server = connect(this.target, '127.0.0.1');
    this.#keep(server);
    client.pipe(server);
    server.pipe(client);
    client.on('close', () => server.destroy());
  }

  #keep(socket: Socket): void {
    socket.setNoDelay(true);
    this.#sockets.add(socket);
    // Which side breaks first is of no interest here: the other follows.
    socket.on('error', () => undefined);
    socket.on('close', () => this.#sockets.delete(socket));
  }
}
