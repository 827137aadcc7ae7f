import type { Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { deflateRawSync } from 'node:zlib';
import { beforeAll, describe, expect, it } from 'vitest';
import type { CallRecord } from '../../src/events/call-record.js';
import { TestCaller } from '../../src/phone/test-caller.js';
import type { TestCall } from '../../src/phone/test-call.js';
import { acceptUpgrade, HostileServer, OPCODE, START_FRAME, webSocketFrame } from '../contract/hostile-server.js';
import type { BridgeUnderTest } from '../support/bridge-under-test.js';
import { measuresRealTime } from '../support/real-time.js';
import { codeWords, decoded, FRAME_BYTES, MarkingAgent } from '../support/telephony-speech.js';
import { observed, runWireMinute, type WireCallPlan, type WireMinute } from '../support/wire-minute.js';

measuresRealTime({ ofWholeFile: true });

type Mode = 'websocket' | 'telephony' | 'handshake';

interface Attack {
  readonly what: string;
  readonly mode: Mode;
  readonly onSocket: (socket: Socket) => void;
  /** What becomes of the call. */
  readonly becomes: 'refused 500' | 'refused 503' | 'BYE' | 'goes on';
}

/** For how long an attack goes on that does not end by itself. */
const ATTACK_MS = 1_500;
/** Attacks at a time. */
const AT_ONCE = 4;
const HEALTHY_FRAMES = 600;
/**
 * Bridge, attackers and callers share this process; see `audio-on-the-wire`. A caller held up twice in a row is as late as
 * the bridge may rightly fill with silence.
 */
const MAX_STALL_MS = 20;
const ATTEMPTS = 3;
const MAX_GROWTH_BYTES = 96 * 1024 * 1024;
const SAMPLE_MS = 20;
const PAUSE_MS = 15;

/** Upgrades and starts, in the one protocol by a message and in the other by a pong; then does its worst. */
function started(worst: (socket: Socket) => void): (socket: Socket) => void {
  return (socket) =>
    acceptUpgrade(socket, () => {
      socket.write(START_FRAME);
      worst(socket);
    });
}

/** Writes `bytes` again and again, as fast as they are taken, with a breath now and then: it is this process that writes. */
function flood(socket: Socket, bytes: Buffer): void {
  const untilMs = performance.now() + ATTACK_MS;
  const write = (): void => {
    if (socket.destroyed || performance.now() > untilMs) return;
    if (socket.write(bytes)) setTimeout(write, PAUSE_MS);
    else socket.once('drain', () => setTimeout(write, PAUSE_MS));
  };
  write();
}

/** Writes `text` a byte at a time, for as long as anybody listens. */
function drip(socket: Socket, text: string): void {
  let at = 0;
  const timer = setInterval(() => socket.write(text[at++ % text.length] ?? 'x'), 10);
  socket.on('close', () => clearInterval(timer));
}

const answering =
  (text: string): ((socket: Socket) => void) =>
  (socket) => {
    socket.once('data', () => socket.write(text));
  };

const many = (frame: Buffer, count: number): Buffer => Buffer.concat(Array.from({ length: count }, () => frame));
const event = (value: object): Buffer => webSocketFrame(OPCODE.text, JSON.stringify(value));
const mark = (name: string): Buffer => event({ event: 'mark', streamSid: 'MZ', mark: { name } });
const media = (payload: Buffer): Buffer => event({ event: 'media', media: { payload: payload.toString('base64') } });

const GIGABYTE = Buffer.concat([Buffer.of(0x82, 127, 0, 0, 0, 0, 0x40, 0, 0, 0), Buffer.alloc(100_000)]);
const ENDLESS_FRAGMENT = Buffer.concat([Buffer.of(0x00, 127, 0, 0, 0, 0, 0, 0x10, 0, 0), Buffer.alloc(1 << 20)]);
/** 100 MB of nothing. */
const BOMB = deflateRawSync(Buffer.alloc(100_000_000));
const REDIRECT = 'HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:9/\r\nContent-Length: 0\r\n\r\n';

const ATTACKS: readonly Attack[] = (['websocket', 'telephony'] as const)
  .flatMap((mode): Attack[] => [
    {
      what: 'a message announced with a gigabyte',
      mode,
      onSocket: started((socket) => flood(socket, GIGABYTE)),
      becomes: 'BYE',
    },
    {
      what: 'a message in endless fragments',
      mode,
      onSocket: started((socket) => {
        socket.write(Buffer.of(0x02, 0));
        flood(socket, ENDLESS_FRAGMENT);
      }),
      becomes: 'BYE',
    },
    {
      what: 'a flood of text',
      mode,
      onSocket: started((socket) => flood(socket, many(event({ event: 'junk', nested: { deep: [[[[1]]]] } }), 500))),
      becomes: 'goes on',
    },
    {
      what: 'a flood of long text that is no JSON',
      mode,
      onSocket: started((socket) => flood(socket, webSocketFrame(OPCODE.text, `{${'['.repeat(60_000)}`))),
      becomes: 'goes on',
    },
    {
      what: 'a flood of pings',
      mode,
      onSocket: started((socket) => flood(socket, many(webSocketFrame(OPCODE.ping, 'x'.repeat(100)), 200))),
      becomes: 'BYE',
    },
    {
      what: 'a flood of interruptions',
      mode,
      onSocket: started((socket) => flood(socket, many(event({ event: 'clear' }), 500))),
      becomes: 'goes on',
    },
    {
      what: 'an upgrade a byte at a time',
      mode,
      onSocket: (socket) => drip(socket, 'HTTP/1.1 101 Switching Protocols\r\nX-Slow: slow\r\n'),
      becomes: 'refused 503',
    },
    {
      what: 'invalid UTF-8',
      mode,
      onSocket: started((socket) => socket.write(webSocketFrame(OPCODE.text, Buffer.of(0xc3, 0x28)))),
      becomes: 'BYE',
    },
    {
      what: 'a compressed bomb, though compression was not agreed on',
      mode,
      onSocket: started((socket) => {
        const frame = webSocketFrame(OPCODE.binary, BOMB.subarray(0, 65_000));
        frame[0] = 0xc0 | OPCODE.binary;
        socket.write(frame);
      }),
      becomes: 'BYE',
    },
    {
      what: 'compression that nobody asked for',
      mode,
      onSocket: (socket) => {
        const write = socket.write.bind(socket);
        // Put into the answer to the upgrade.
        socket.write = (bytes: string) =>
          write(bytes.replace('\r\n\r\n', '\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n'));
        acceptUpgrade(socket, () => (socket.write = write));
      },
      becomes: 'refused 503',
    },
    { what: 'a redirect', mode, onSocket: answering(REDIRECT), becomes: 'refused 500' },
  ])
  .concat([
    {
      what: 'a flood of marks',
      mode: 'telephony',
      onSocket: started((socket) => flood(socket, many(mark('m'.repeat(100)), 300))),
      becomes: 'goes on',
    },
    {
      what: 'a flood of marks behind speech that is never over',
      mode: 'telephony',
      onSocket: started((socket) =>
        flood(socket, Buffer.concat([media(Buffer.alloc(8_000, 0x11)), many(mark('end'), 100)])),
      ),
      becomes: 'goes on',
    },
    {
      what: 'marks that are never read when they come back',
      mode: 'telephony',
      onSocket: started((socket) => {
        socket.pause();
        setTimeout(() => socket.resume(), 2 * ATTACK_MS);
        flood(socket, many(mark('m'.repeat(200)), 200));
      }),
      becomes: 'goes on',
    },
    {
      what: 'hours of speech at once',
      mode: 'websocket',
      onSocket: started((socket) => flood(socket, many(webSocketFrame(OPCODE.binary, Buffer.alloc(60_000, 0x11)), 4))),
      becomes: 'goes on',
    },
    { what: 'a redirect', mode: 'handshake', onSocket: answering(REDIRECT), becomes: 'refused 500' },
    {
      what: 'an answer that does not end',
      mode: 'handshake',
      onSocket: (socket) => {
        socket.once('data', () => {
          socket.write('HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n');
          flood(socket, Buffer.alloc(65_536, '['));
        });
      },
      becomes: 'refused 503',
    },
    {
      what: 'an answer a byte at a time',
      mode: 'handshake',
      onSocket: (socket) => drip(socket, 'HTTP/1.1 200 OK\r\nX-Slow: slow\r\n'),
      becomes: 'refused 503',
    },
    {
      what: 'a compressed bomb',
      mode: 'handshake',
      onSocket: (socket) => {
        socket.once('data', () => {
          socket.write(`HTTP/1.1 200 OK\r\nContent-Encoding: deflate\r\nContent-Length: ${BOMB.length}\r\n\r\n`);
          socket.write(BOMB);
        });
      },
      becomes: 'refused 503',
    },
  ]);

const CONFIG = {
  pranthora: {
    connectTimeoutMs: 500,
    startTimeoutMs: 500,
    reconnect: { maxAttempts: 2, initialDelayMs: 10, maxDelayMs: 10 },
  },
};

interface Outcome {
  readonly ended: string;
  readonly call: TestCall;
  readonly record: CallRecord;
}

const numberOf = (attack: Attack): string => `7${100 + ATTACKS.indexOf(attack)}`;

const memoryBytes = (): number => {
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
};

/** One healthy call, and all attackers called meanwhile. */
class Siege {
  readonly said = codeWords('mulaw', HEALTHY_FRAMES, 1);
  readonly agent = new MarkingAgent('mulaw', HEALTHY_FRAMES, 2);
  readonly connections = new Map<Attack, number>();
  readonly outcomes = new Map<Attack, Outcome>();
  minute: WireMinute | undefined;
  grownBytes = 0;
  /** Sockets on the attackers' side a while after all calls were over. */
  leftOpen = 0;
  readonly #servers = ATTACKS.map(
    (attack) =>
      new HostileServer((socket) => {
        this.connections.set(attack, (this.connections.get(attack) ?? 0) + 1);
        attack.onSocket(socket);
      }),
  );

  async run(): Promise<void> {
    const urls = await Promise.all(this.#servers.map((server) => server.start()));
    const routes = ATTACKS.map((attack, n) => ({
      did: numberOf(attack),
      agentId: 'x',
      mode: attack.mode,
      url: urls[n],
    }));
    let isStarted: (underTest: BridgeUnderTest) => void = () => undefined;
    const bridge = new Promise<BridgeUnderTest>((resolve) => (isStarted = resolve));
    const attacked = bridge.then((underTest) => this.#callAll(underTest));
    this.minute = await runWireMinute([this.#plan(attacked)], { config: CONFIG, routes, onStarted: isStarted });
    await Promise.all(this.#servers.map((server) => server.stop()));
  }

  #plan(attacked: Promise<void>): WireCallPlan {
    return {
      number: '7000',
      law: 'mulaw',
      agent: this.agent,
      route: { mode: 'telephony' },
      callerSays: decoded('mulaw', this.said),
      until: async (call, { arrivalsMs }) => {
        await observed(() => this.agent.echoes, this.agent.marks.length);
        await observed(() => call.heard.packets, HEALTHY_FRAMES + 20);
        await observed(() => arrivalsMs, HEALTHY_FRAMES + 5);
        await attacked;
      },
    };
  }

  /** Calls every attacker, a few at a time, as soon as the healthy call is up. */
  async #callAll(underTest: BridgeUnderTest): Promise<void> {
    await underTest.log.wait('call.answered');
    const caller = await TestCaller.start({ logger: underTest.log.logger });
    let leastBytes = memoryBytes();
    const sampler = setInterval(() => {
      leastBytes = Math.min(leastBytes, memoryBytes());
      this.grownBytes = Math.max(this.grownBytes, memoryBytes() - leastBytes);
    }, SAMPLE_MS);
    const left = [...ATTACKS];
    const next = async (): Promise<void> => {
      for (let attack = left.shift(); attack; attack = left.shift()) {
        this.outcomes.set(attack, await callAttacker(attack, caller, underTest));
      }
    };
    try {
      await Promise.all(Array.from({ length: AT_ONCE }, next));
      // A close takes a second at most, whether or not the other side answers it.
      await sleep(1_500);
      this.leftOpen = this.#servers.reduce((sum, server) => sum + server.sockets.size, 0);
    } finally {
      clearInterval(sampler);
      await caller.close();
    }
  }
}

async function callAttacker(attack: Attack, caller: TestCaller, underTest: BridgeUnderTest): Promise<Outcome> {
  const number = numberOf(attack);
  const call = caller.call(`sip:${number}@127.0.0.1:${underTest.port('udp')}`, { from: number });
  const isUp = await call.answered.then(
    () => true,
    () => false,
  );
  if (isUp && attack.becomes === 'goes on') {
    await sleep(ATTACK_MS);
    await call.hangUp();
  }
  const { by, reason } = await call.ended;
  const ended = by === 'refused' ? `refused ${reason.slice(0, 3)}` : by === 'callee' ? 'BYE' : 'goes on';
  const [line] = await observed(() => underTest.log.events('call.ended').filter(({ did }) => did === number), 1);
  return { ended, call, record: line as unknown as CallRecord };
}

let siege: Siege;

beforeAll(async () => {
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    siege = new Siege();
    await siege.run();
    if ((siege.minute?.heldUpMs ?? Infinity) < MAX_STALL_MS) break;
  }
}, ATTEMPTS * 40_000);

describe.each(ATTACKS.map((attack) => ({ ...attack, attack })))('$what, $mode', ({ attack, becomes }) => {
  it(`the call: ${becomes}`, () => {
    const outcome = siege.outcomes.get(attack);
    expect(outcome?.ended).toBe(becomes);
    if (becomes === 'goes on') expect(outcome?.record).toMatchObject({ endedBy: 'caller', outcome: 'completed' });
    if (becomes === 'BYE' || becomes === 'refused 503') expect(outcome?.record.reason).toBe('agent_unreachable');
    if (becomes === 'refused 500') expect(outcome?.record.reason).toBe('agent_configuration');
    if (becomes.startsWith('refused')) expect(siege.connections.get(attack)).toBe(1);
  });

  it('its caller gets every packet that is sent', () => {
    const heard = siege.outcomes.get(attack)?.call.report().heard;
    expect(heard).toMatchObject({ lost: 0, duplicated: 0, sequenceBreaks: 0, restarts: 0 });
  });
});

describe('meanwhile', () => {
  it('the memory that is used stays within bounds', async ({ annotate }) => {
    await annotate(`${(siege.grownBytes / 2 ** 20).toFixed(1)} MB more at the most`);
    expect(siege.grownBytes).toBeGreaterThan(0);
    expect(siege.grownBytes).toBeLessThan(MAX_GROWTH_BYTES);
  });

  it('no connection to an attacker is left open', () => expect(siege.leftOpen).toBe(0));

  it('another call hears and is heard, byte for byte', async ({ annotate }) => {
    const { agent, said, minute } = siege;
    await annotate(`this process, attackers included, stood still for ${minute?.heldUpMs.toFixed(1) ?? ''} ms at most`);
    const [call] = minute?.calls ?? [];
    const { packets } = call?.call.heard ?? { packets: [] };
    const first = packets.findIndex(({ peak }) => peak > 8);
    const expected = decoded('mulaw', agent.speech);
    const heard = packets.slice(first, first + HEALTHY_FRAMES);
    const wrong = heard.findIndex(({ samples }, n) =>
      samples.some((sample, i) => sample !== expected[n * FRAME_BYTES + i]),
    );
    expect([heard.length, wrong]).toEqual([HEALTHY_FRAMES, -1]);
    expect(call?.session.receivedMedia().includes(said)).toBe(true);
    const { lost, duplicated, sequenceBreaks, timestampBreaks, restarts } = call?.call.report().heard ?? {};
    expect([lost, duplicated, sequenceBreaks, timestampBreaks, restarts]).toEqual([0, 0, 0, 0, 0]);
    expect(call?.record).toMatchObject({ reconnects: 0, outcome: 'completed' });
  });

  it('its marks come back, all of them, in order', () => {
    const { marks, echoes } = siege.agent;
    expect(marks.length).toBeGreaterThan(10);
    expect(echoes.map(({ name }) => name)).toEqual(marks.map(({ name }) => name));
  });
});
