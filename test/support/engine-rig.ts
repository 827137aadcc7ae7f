import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, vi } from 'vitest';
import { startBridge } from '../../src/compose.js';
import { loadConfig } from '../../src/config/load.js';
import type { BridgeConfig } from '../../src/config/types.js';
import type { CallRecord } from '../../src/events/call-record.js';
import type { EventSocketAddress } from '../../src/media/freeswitch/event-socket-probe.js';
import { PranthoraSimulator } from '../../src/simulator/pranthora-simulator.js';
import type { Scenario, SimulatorSession } from '../../src/simulator/simulator-session.js';
import { TestCaller, type CallOptions } from '../../src/phone/test-caller.js';
import type { TestCall } from '../../src/phone/test-call.js';
import { CollectedLog, type RunningBridge, type Section } from './bridge-under-test.js';
import { channelsOn, drachtio, freeSwitch, serversToOurselves, type DrachtioAddress, type Engines } from './engines.js';

/** How long what should be over in a moment may take on a busy machine. */
const PATIENCE_MS = 8_000;

export interface EngineRigOptions {
  readonly engines: Engines;
  /** Who answers: each agent's number is its name. */
  readonly agents: Readonly<Record<string, Scenario>>;
  /** In addition to one for each agent. */
  readonly routes?: readonly Section[];
  /** Sections laid over those a rig needs. */
  readonly config?: Readonly<Record<string, Section>>;
  /** Default: the ones of the environment. */
  readonly freeSwitches?: readonly EventSocketAddress[];
  readonly drachtio?: DrachtioAddress;
  /** The test has made sure by itself that nobody else uses the servers. */
  readonly isAlone?: boolean;
}

/**
 * A whole bridge on the engines asked for, with simulated agents behind it and a telephone in front. Time is real here,
 * for FreeSWITCH and drachtio-server have no other.
 */
export class EngineRig {
  readonly #parts: RigParts;
  readonly #calls = new Set<TestCall>();

  static async start(options: EngineRigOptions): Promise<EngineRig> {
    const { engines, agents, isAlone = isBuiltIn(engines) } = options;
    const release = isAlone ? () => Promise.resolve() : await serversToOurselves();
    const log = new CollectedLog();
    const simulator = new PranthoraSimulator({ scenarioFor: (id) => agents[id] });
    const { url } = await simulator.start();
    const bridge = await startBridge(rigConfig(options, url), { logger: log.logger, version: 'test' });
    const caller = await TestCaller.start({ logger: log.logger });
    // drachtio-server is told that we take INVITEs right after the connection is there; nobody says when it has read it.
    if (engines.sip === 'drachtio') await sleep(100);
    return new EngineRig({ options, log, simulator, bridge, caller, release });
  }

  private constructor(parts: RigParts) {
    this.#parts = parts;
  }

  get log(): CollectedLog {
    return this.#parts.log;
  }

  get bridge(): RunningBridge {
    return this.#parts.bridge;
  }

  get simulator(): PranthoraSimulator {
    return this.#parts.simulator;
  }

  /** Where calls are placed. */
  get sip(): { address: string; port: number } {
    const { options, bridge } = this.#parts;
    const at =
      options.engines.sip === 'drachtio'
        ? (options.drachtio ?? drachtio).sip
        : (bridge.sip[0] ?? '').replace('udp://', '');
    const [address = '', port] = at.split(':');
    return { address, port: Number(port) };
  }

  uri(number: string): string {
    return `sip:${number}@${this.sip.address}:${this.sip.port}`;
  }

  call(number: string, options: CallOptions = {}): TestCall {
    const call = this.#parts.caller.call(this.uri(number), options);
    this.#calls.add(call);
    void call.ended.then(() => this.#calls.delete(call));
    return call;
  }

  /** Ends the calls that a test which has failed left behind, so that it alone has failed. */
  async hangUp(): Promise<void> {
    await Promise.all([...this.#calls].map((call) => call.hangUp()));
  }

  /** The newest connection to an agent. */
  session(agentId: string): SimulatorSession {
    const session = this.simulator.sessions.findLast((candidate) => candidate.agentId === agentId);
    if (!session) throw new Error(`Nobody has called the agent ${agentId}`);
    return session;
  }

  /** The `call.ended` line of the call from a number. */
  recordFrom(from: string): Promise<CallRecord> {
    return this.#record((line) => line['from'] === from);
  }

  record(callId: string): Promise<CallRecord> {
    return this.#record((line) => line['callId'] === callId);
  }

  #record(isOurs: (line: Readonly<Record<string, unknown>>) => boolean): Promise<CallRecord> {
    return eventually(() => {
      const line = this.log.events('call.ended').find(isOurs);
      if (!line) throw new Error('The call has not ended');
      return line as unknown as CallRecord;
    });
  }

  /** Resolves when nothing is left of any call: neither here nor on FreeSWITCH. Fails otherwise. */
  async nothingHeld(): Promise<void> {
    const { options, bridge, caller } = this.#parts;
    await eventually(() => {
      const { sip, ...held } = bridge.held();
      expect(held).toEqual({ calls: 0, bridges: 0, rtpPorts: 0, ticking: 0, channels: 0 });
      expect(sip?.dialogs ?? 0).toBe(0);
      expect(caller.held).toMatchObject({ calls: 0, rtpPorts: 0, ticking: 0 });
    });
    if (options.engines.media === 'embedded') return;
    for (const server of options.freeSwitches ?? [freeSwitch]) {
      await eventually(async () => {
        expect(await channelsOn(server)).toBe(0);
      });
    }
  }

  /** `faultsExpected`: the test has broken something, and the bridge may say so. */
  async stop({ faultsExpected = false } = {}): Promise<void> {
    const { bridge, caller, simulator, log, release } = this.#parts;
    await caller.close();
    await bridge.stop();
    await simulator.stop();
    await release();
    expect(bridge.held().sip ?? {}).toMatchObject(bridge.held().sip ? { clients: 0, connections: 0 } : {});
    if (!faultsExpected) expect(log.faults()).toEqual([]);
  }
}

interface RigParts {
  readonly options: EngineRigOptions;
  readonly log: CollectedLog;
  readonly simulator: PranthoraSimulator;
  readonly bridge: RunningBridge;
  readonly caller: TestCaller;
  readonly release: () => Promise<void>;
}

function isBuiltIn({ sip, media }: Engines): boolean {
  return sip === 'embedded' && media === 'embedded';
}

/** Polls until `observe` no longer throws. */
export function eventually<T>(observe: () => T | Promise<T>, timeoutMs = PATIENCE_MS): Promise<T> {
  return vi.waitFor(observe, { timeout: timeoutMs, interval: 20 });
}

/** The configuration as a file, which a bridge in a process of its own is started with too. */
export function rigDocument(options: EngineRigOptions, url: string): Record<string, unknown> {
  const { engines, agents, routes = [], config = {}, freeSwitches = [freeSwitch] } = options;
  const { host, port, secret } = options.drachtio ?? drachtio;
  return {
    ...config,
    pranthora: { url, apiKey: 'key-of-the-test', ...config['pranthora'] },
    sip: {
      engine: engines.sip,
      listen: ['udp://127.0.0.1:0'],
      ...(engines.sip === 'drachtio' ? { drachtio: { host, port, secret } } : {}),
      ...config['sip'],
    },
    media: {
      engine: engines.media,
      workers: 0,
      bind: '127.0.0.1',
      // Away from the ports of FreeSWITCH and of the test caller.
      ports: '20000-24999',
      ...(engines.media === 'freeswitch' ? { freeswitch: freeSwitches } : {}),
      ...config['media'],
    },
    http: { port: 0, ...config['http'] },
    routes: [...Object.keys(agents).map((agentId) => ({ did: agentId, agentId })), ...routes],
  };
}

function rigConfig(options: EngineRigOptions, url: string): BridgeConfig {
  const directory = mkdtempSync(join(tmpdir(), 'engine-rig-'));
  const file = join(directory, 'config.json');
  try {
    writeFileSync(file, JSON.stringify(rigDocument(options, url)));
    return loadConfig({ file, env: {} }).config;
  } finally {
    rmSync(directory, { recursive: true });
  }
}
