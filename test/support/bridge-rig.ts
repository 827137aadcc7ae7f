import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { expect } from 'vitest';
import { encodeG711 } from '../../src/audio/g711.js';
import type { BridgeSettings } from '../../src/bridge/call-bridge.js';
import { LocalBridgePool } from '../../src/bridge/threads/local-pool.js';
import { WorkerBridgePool } from '../../src/bridge/threads/worker-pool.js';
import type { BridgeEvent, BridgeHandle, BridgeMedia } from '../../src/bridge/messages.js';
import { systemClock } from '../../src/clock.js';
import type { AgentAddress } from '../../src/pranthora/agent-session.js';
import { newRtpPacket, parseRtp, writeRtpHeader, type RtpPacket } from '../../src/rtp/packet.js';
import { PranthoraSimulator } from '../../src/simulator/pranthora-simulator.js';
import type { Scenario, SimulatorSession } from '../../src/simulator/simulator-session.js';
import { RecordingLogger } from './recording-logger.js';

export const SETTINGS: BridgeSettings = {
  bind: '127.0.0.1',
  // Below the ports the system gives out by itself.
  ports: { min: 31_000, max: 31_999 },
  reorderMs: 40,
  cushionMs: 200,
  dtmf: 'none',
  holdToAgent: 'silence',
  rtpTimeoutMs: 60_000,
  farewellMs: 5_000,
  settleMs: 0,
  connectTimeoutMs: 2_000,
  startTimeoutMs: 2_000,
  reconnect: { maxAttempts: 3, initialDelayMs: 20, maxDelayMs: 50, keepMs: 400 },
};

export const TELEPHONE_EVENT = 101;

export interface ReceivedPacket {
  readonly atMs: number;
  readonly packet: RtpPacket;
}

/** A telephone: one UDP socket that keeps every RTP packet it gets. */
export class Phone {
  readonly packets: ReceivedPacket[] = [];
  readonly #socket: Socket;
  #waiting: (() => void)[] = [];
  #sequenceNumber = 65_500;
  #timestamp = 4_294_960_000;
  #target = 0;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.on('message', (bytes) => {
      const packet = newRtpPacket();
      expect(parseRtp(bytes, packet)).toBe(true);
      this.packets.push({ atMs: performance.now(), packet });
      for (const check of this.#waiting) check();
    });
  }

  static async open(): Promise<Phone> {
    const socket = createSocket('udp4');
    socket.bind(0, '127.0.0.1');
    await once(socket, 'listening');
    return new Phone(socket);
  }

  get port(): number {
    return this.#socket.address().port;
  }

  get media(): BridgeMedia {
    return {
      encoding: 'PCMU',
      payloadType: 0,
      telephoneEventPayloadType: TELEPHONE_EVENT,
      remote: { address: '127.0.0.1', port: this.port },
      sending: true,
      receiving: true,
    };
  }

  callTo(port: number): void {
    this.#target = port;
  }

  /** Sends 20 ms of speech. */
  speak(samples: Int16Array): void {
    const bytes = Buffer.alloc(12 + samples.length);
    encodeG711('mulaw', samples, 0, samples.length, bytes, 12);
    this.#send(bytes, 0, samples.length);
  }

  /** Sends 20 ms of 16 kHz speech as L16 of a payload type. */
  speakL16(samples: Int16Array, payloadType: number): void {
    const bytes = Buffer.alloc(12 + 2 * samples.length);
    samples.forEach((sample, i) => bytes.writeInt16BE(sample, 12 + 2 * i));
    this.#send(bytes, payloadType, samples.length);
  }

  /** Sends the first packet of a digit. */
  press(event: number): void {
    this.#send(Buffer.from([...Array.from({ length: 12 }, () => 0), event, 10, 0, 160]), TELEPHONE_EVENT, 160);
  }

  /** Resolves when the system has taken the datagram. */
  sendRaw(bytes: Uint8Array): Promise<void> {
    return new Promise((resolve, reject) =>
      this.#socket.send(bytes, this.#target, '127.0.0.1', (error) => {
        if (error) reject(error);
        else resolve();
      }),
    );
  }

  /** Resolves when `isEnough` of all packets so far. */
  until(isEnough: (packets: readonly ReceivedPacket[]) => boolean): Promise<void> {
    return new Promise((resolve) => {
      const check = (): void => {
        if (!isEnough(this.packets)) return;
        this.#waiting = this.#waiting.filter((each) => each !== check);
        resolve();
      };
      this.#waiting.push(check);
      check();
    });
  }

  /** Resolves when `count` more packets have come. */
  async receive(count: number): Promise<void> {
    const before = this.packets.length;
    await this.until((packets) => packets.length >= before + count);
  }

  close(): void {
    this.#socket.close();
  }

  #send(bytes: Buffer, payloadType: number, samples: number): void {
    writeRtpHeader(bytes, {
      payloadType,
      marker: false,
      sequenceNumber: this.#sequenceNumber,
      timestamp: this.#timestamp,
      ssrc: 42,
    });
    this.#sequenceNumber = (this.#sequenceNumber + 1) & 0xffff;
    this.#timestamp = (this.#timestamp + samples) >>> 0;
    void this.sendRaw(bytes);
  }
}

/** An agent that starts when it is connected, or as `onOpen` has it, listens, and says what the test has it say. */
export class ListeningAgent implements Scenario {
  readonly onOpen: (session: SimulatorSession) => void;
  frames = 0;
  #waiting: { readonly frames: number; readonly resolve: () => void }[] = [];

  constructor(onOpen = (session: SimulatorSession): void => session.start()) {
    this.onOpen = onOpen;
  }

  onAudio(): void {
    this.frames += 1;
    this.#waiting = this.#waiting.filter(({ frames, resolve }) => {
      if (this.frames < frames) return true;
      resolve();
      return false;
    });
  }

  /** Resolves when that many more frames have come. */
  hear(frames: number): Promise<void> {
    return new Promise((resolve) => {
      this.#waiting.push({ frames: this.frames + frames, resolve });
    });
  }
}

export const isSilentPacket = ({ packet }: ReceivedPacket): boolean =>
  packet.bytes.subarray(packet.payloadOffset).every((codeWord) => codeWord === 0xff);

/** One bridge between a telephone on loopback and a simulated agent, and everything it has told. */
export class BridgeRig {
  readonly events: BridgeEvent[] = [];
  readonly logger: RecordingLogger;
  readonly pool: LocalBridgePool | WorkerBridgePool;
  readonly simulator: PranthoraSimulator;
  readonly phone: Phone;
  readonly bridge: BridgeHandle;
  #url = '';
  #waiting: (() => void)[] = [];

  private constructor(parts: Pick<BridgeRig, 'pool' | 'logger' | 'simulator' | 'phone'>) {
    this.logger = parts.logger;
    this.pool = parts.pool;
    this.simulator = parts.simulator;
    this.phone = parts.phone;
    this.bridge = this.open();
  }

  /** On this thread, or on one that runs `worker`. */
  static async start(scenario: Scenario, changes: Partial<BridgeSettings> = {}, worker?: URL): Promise<BridgeRig> {
    const logger = new RecordingLogger();
    const settings = { bridge: { ...SETTINGS, ...changes }, network: {} };
    const pool = worker
      ? await WorkerBridgePool.start({ workers: 1, settings, clock: systemClock, logger, script: worker })
      : new LocalBridgePool(settings, systemClock, logger);
    const simulator = new PranthoraSimulator({ scenario });
    const { url } = await simulator.start();
    const rig = new BridgeRig({ pool, logger, simulator, phone: await Phone.open() });
    rig.#url = url;
    return rig;
  }

  /** Another bridge of the same pool, its events among the others. */
  open(): BridgeHandle {
    return this.pool.open((event) => {
      this.events.push(event);
      for (const check of this.#waiting) check();
    });
  }

  connectAgent(agentId = 'agent', changes: Partial<AgentAddress> = {}, bridge = this.bridge): void {
    bridge.connectAgent({
      mode: 'websocket',
      baseUrl: this.#url,
      target: { agentId },
      apiKeys: ['key'],
      encoding: 'mulaw',
      callSid: 'call-1',
      ...changes,
    });
  }

  /** The agent is ready; nobody has answered the caller yet. */
  async connected(): Promise<void> {
    const { rtpPort } = await this.event('opened');
    this.phone.callTo(rtpPort);
    this.connectAgent();
    await this.event('agent-ready');
  }

  /** A call that is answered. */
  async started(media: Partial<BridgeMedia> = {}): Promise<void> {
    await this.connected();
    this.bridge.setMedia({ ...this.phone.media, ...media });
    this.bridge.start();
    this.bridge.confirm();
  }

  /** Another socket that has sent `count` datagrams to the bridge's port. */
  async strangerSending(count: number, bytes: () => Uint8Array): Promise<{ close(): void }> {
    const stranger = await Phone.open();
    stranger.callTo((await this.event('opened')).rtpPort);
    for (let i = 0; i < count; i++) await stranger.sendRaw(bytes());
    return stranger;
  }

  get session(): SimulatorSession {
    const session = this.simulator.sessions.at(-1);
    if (!session) throw new Error('no session');
    return session;
  }

  /** The first event of a kind, those that have been told already included. */
  event<K extends BridgeEvent['kind']>(kind: K): Promise<Extract<BridgeEvent, { kind: K }>> {
    const isIt = (event: BridgeEvent): event is Extract<BridgeEvent, { kind: K }> => event.kind === kind;
    return new Promise((resolve) => {
      const check = (): void => {
        const found = this.events.find(isIt);
        if (!found) return;
        this.#waiting = this.#waiting.filter((each) => each !== check);
        resolve(found);
      };
      this.#waiting.push(check);
      check();
    });
  }

  count(kind: BridgeEvent['kind']): number {
    return this.events.filter((event) => event.kind === kind).length;
  }

  /** Closes what is open and checks that nothing is left. */
  async stop(): Promise<void> {
    this.bridge.close();
    await this.pool.stop();
    expect(this.pool.active).toBe(0);
    expect(this.pool.held).toEqual({ ports: 0, ticking: 0 });
    expect(this.events.filter((event) => event.kind === 'closed' && event.bridge === this.bridge.id)).toHaveLength(1);
    expect(this.events.at(-1)?.kind).toBe('closed');
    expect(this.logger.of('bridge.fault')).toEqual([]);
    this.phone.close();
    await this.simulator.stop();
  }
}
