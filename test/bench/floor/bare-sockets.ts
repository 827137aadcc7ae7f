import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { WebSocket } from 'ws';
import { Scheduler, type Ticking } from '../../../src/bridge/scheduler.js';
import { systemClock } from '../../../src/clock.js';

/**
 * A process that does nothing but move a bridge's packets: a datagram in, the WebSocket frame of its call out at the end of
 * the turn, a datagram out every 20 ms. No SIP, no audio, no order, no state. What it costs, any bridge on Node costs.
 *
 * Arguments: the agents' URL, the number of calls. Tells its parent the ports.
 */
const [url = '', count = '0'] = process.argv.slice(2);

const PACKET = Buffer.alloc(172, 0x80);
const FRAME = Buffer.alloc(640);
const BINARY = { binary: true, compress: false, fin: true };

class BareCall implements Ticking {
  readonly #udp: Socket;
  readonly #agent: WebSocket;
  #isConnected = false;

  static async open(call: number): Promise<BareCall> {
    const agent = new WebSocket(`${url}/${call}`, { perMessageDeflate: false });
    const udp = createSocket('udp4');
    udp.bind(0, '127.0.0.1');
    await Promise.all([once(agent, 'open'), once(udp, 'listening')]);
    return new BareCall(udp, agent);
  }

  private constructor(udp: Socket, agent: WebSocket) {
    this.#udp = udp;
    this.#agent = agent;
    udp.on('error', () => undefined);
    udp.on('message', (_bytes, from) => {
      if (!this.#isConnected) udp.connect(from.port, from.address);
      this.#isConnected = true;
      scheduler.atTurnEnd(this);
    });
  }

  get port(): number {
    return this.#udp.address().port;
  }

  flush(): void {
    this.#agent.send(FRAME, BINARY);
  }

  tick(): void {
    if (this.#isConnected) this.#udp.send(PACKET);
  }

  skip(): void {
    // There is no timestamp to go on.
  }
}

const scheduler = new Scheduler(systemClock);
const calls = await Promise.all(Array.from({ length: Number(count) }, (_, call) => BareCall.open(call)));
for (const call of calls) scheduler.add(call);
process.send?.(calls.map(({ port }) => port));
process.once('disconnect', () => process.exit());
