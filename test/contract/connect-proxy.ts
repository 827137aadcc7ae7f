import { once } from 'node:events';
import { createServer, type IncomingMessage } from 'node:http';
import { connect, type AddressInfo, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';

/** A proxy that makes tunnels (CONNECT, RFC 9110 9.3.6), or does to the request whatever a test wants. */
export class ConnectProxy {
  /** What was asked for, as `host:port`. */
  readonly asked: string[] = [];
  readonly credentials: (string | undefined)[] = [];
  /** Everything that clients sent through. */
  readonly #sent: Buffer[] = [];
  readonly #sockets = new Set<Duplex>();
  readonly #server = createServer();

  constructor(onConnect?: (socket: Duplex) => void) {
    this.#server.on('connection', (socket) => this.#keep(socket));
    this.#server.on('connect', (request: IncomingMessage, socket: Duplex) => {
      this.asked.push(request.url ?? '');
      this.credentials.push(request.headers['proxy-authorization']);
      if (onConnect) {
        // Somebody has to read, or nobody would see the client go.
        socket.resume();
        socket.on('end', () => socket.end());
        onConnect(socket);
      } else this.#tunnel(request.url ?? '', socket);
    });
  }

  get openSockets(): number {
    return this.#sockets.size;
  }

  get sent(): Buffer {
    return Buffer.concat(this.#sent);
  }

  async start(): Promise<string> {
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async stop(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    const closed = once(this.#server, 'close');
    this.#server.close();
    await closed;
  }

  #tunnel(target: string, client: Duplex): void {
    const { hostname, port } = new URL(`http://${target}`);
    const server: Socket = connect(Number(port), hostname, () => {
      client.write('HTTP/1.1 200 Connection established\r\n\r\n');
      server.pipe(client);
      client.pipe(server);
    });
    this.#keep(server);
    client.on('data', (data: Buffer) => this.#sent.push(data));
    client.on('close', () => server.destroy());
    server.on('close', () => client.destroy());
  }

  #keep(socket: Duplex): void {
    this.#sockets.add(socket);
    socket.on('error', () => undefined);
    socket.on('close', () => this.#sockets.delete(socket));
  }
}
