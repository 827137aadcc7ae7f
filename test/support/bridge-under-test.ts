import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { expect, vi } from 'vitest';
import { systemClock, type CancelTimer, type Clock } from '../../src/clock.js';
import { startBridge, type Held } from '../../src/compose.js';
import { loadConfig } from '../../src/config/load.js';
import type { BridgeConfig } from '../../src/config/types.js';
import type { CallRecord } from '../../src/events/call-record.js';
import type { LogFields, Logger } from '../../src/logger.js';
import { PranthoraSimulator, type SimulatorOptions } from '../../src/simulator/pranthora-simulator.js';
import type { SimulatorSession } from '../../src/simulator/simulator-session.js';
import type { Violation } from '../../src/simulator/uplink-audit.js';

/** A section of the configuration file, or a setting. */
export type Section = Readonly<Record<string, unknown>>;

export interface BridgeUnderTestOptions {
  /** Sections as in the configuration file, laid over what a test needs: loopback, free ports, the simulator's URL. */
  readonly config?: Readonly<Record<string, Section>>;
  /** As in the file. Default: every number reaches the agent `echo`. */
  readonly routes?: readonly Section[];
  readonly simulator?: SimulatorOptions;
}

export type LogLine = LogFields & { readonly level: 'debug' | 'info' | 'warn' | 'error' };

export type RunningBridge = Awaited<ReturnType<typeof startBridge>>;

/** How long a test waits for what should be there in a moment. */
const PATIENCE_MS = 10_000;

/** 64·T1: every SIP timer is as long at most (RFC 3261 table 4). Twice, for one may start where another ends. */
const SIP_TIMEOUTS_MS = 2 * 32_000;
/** More than a TCP connection may be idle. */
const TCP_IDLE_MS = 16 * 60_000;

/**
 * The whole bridge on loopback with a simulated Pranthora behind it, on a clock that can be moved forward. `stop` is part
 * of every test: it fails when anything is left of the calls, or something went wrong that only the log tells.
 */
export class BridgeUnderTest {
  readonly clock: LeapingClock;
  readonly simulator: PranthoraSimulator;
  readonly simulatorPort: number;
  readonly log: CollectedLog;
  readonly bridge: RunningBridge;
  /** What the simulator had to complain about, in all sessions. */
  readonly violations: Violation[] = [];

  static async start(options: BridgeUnderTestOptions = {}): Promise<BridgeUnderTest> {
    const clock = new LeapingClock();
    const log = new CollectedLog();
    const simulator = new PranthoraSimulator(options.simulator);
    const { url } = await simulator.start();
    try {
      const config = configuration(url, options.routes, options.config);
      const bridge = await startBridge(config, { logger: log.logger, clock, version: 'test' });
      return new BridgeUnderTest({ clock, simulator, simulatorPort: Number(new URL(url).port), log, bridge });
    } catch (error) {
      await simulator.stop();
      throw error;
    }
  }

  private constructor(parts: {
    clock: LeapingClock;
    simulator: PranthoraSimulator;
    simulatorPort: number;
    log: CollectedLog;
    bridge: RunningBridge;
  }) {
    this.clock = parts.clock;
    this.simulator = parts.simulator;
    this.simulatorPort = parts.simulatorPort;
    this.log = parts.log;
    this.bridge = parts.bridge;
    this.simulator.on('session', (session) => {
      session.on('violation', (violation) => this.violations.push(violation));
    });
  }

  /** Port of the SIP listener. */
  port(protocol: 'udp' | 'tcp' | 'tls'): number {
    return Number(this.bridge.sip.find((uri) => uri.startsWith(protocol))?.replace(/^.*:/, ''));
  }

  /** The `call.ended` line of a call, once there is one. */
  async record(callId: string): Promise<CallRecord> {
    const line = await this.log.wait('call.ended', callId);
    return line as unknown as CallRecord;
  }

  /** The next connection to an agent. To be called before there is one. */
  nextSession(agentId: string): Promise<SimulatorSession> {
    return new Promise((resolve) => {
      const onSession = (session: SimulatorSession): void => {
        if (session.agentId !== agentId) return;
        this.simulator.off('session', onSession);
        resolve(session);
      };
      this.simulator.on('session', onSession);
    });
  }

  /** Resolves when no call is left and all SIP timers have run out: then nothing is held any more. Fails otherwise. */
  async nothingHeld(): Promise<void> {
    await vi.waitFor(
      () => expect(this.bridge.held()).toMatchObject({ calls: 0, bridges: 0, rtpPorts: 0, ticking: 0 }),
      { timeout: PATIENCE_MS, interval: 20 },
    );
    // Whoever has just closed a connection on us may have left a message in the socket.
    await sleep(20);
    await this.clock.pass(SIP_TIMEOUTS_MS);
    if ((this.bridge.held().sip?.connections ?? 0) > 0) await this.clock.pass(TCP_IDLE_MS, 10_000);
    expect(heldBy(this.bridge.held())).toEqual(NOTHING);
  }

  /** Ends the bridge and the simulator. Everything must have been given back, and nothing logged as an error. */
  async stop(): Promise<void> {
    try {
      await this.nothingHeld();
    } finally {
      await this.bridge.stop();
      await this.simulator.stop();
    }
    expect(this.bridge.held().sip).toMatchObject({ clients: 0, connections: 0 });
    expect(this.clock.pendingTimers).toBe(0);
    expect(this.log.faults()).toEqual([]);
  }
}

const NOTHING = {
  calls: 0,
  bridges: 0,
  rtpPorts: 0,
  ticking: 0,
  channels: 0,
  serverTransactions: 0,
  clientTransactions: 0,
  dialogs: 0,
  connections: 0,
};

/** What must be given back, without what is only counted. */
export function heldBy({ calls, bridges, rtpPorts, ticking, channels, sip }: Held): typeof NOTHING {
  if (!sip) throw new Error('the SIP is not ours to look into');
  const { serverTransactions, clientTransactions, dialogs, connections } = sip;
  return { calls, bridges, rtpPorts, ticking, channels, serverTransactions, clientTransactions, dialogs, connections };
}

function configuration(
  url: string,
  routes: readonly Section[] = [{ default: true, agentId: 'echo' }],
  sections: Readonly<Record<string, Section>> = {},
): BridgeConfig {
  const directory = mkdtempSync(join(tmpdir(), 'bridge-under-test-'));
  const file = join(directory, 'config.json');
  try {
    const document = {
      ...sections,
      pranthora: { url, apiKey: 'key-of-the-test', ...sections['pranthora'] },
      sip: { listen: ['udp://127.0.0.1:0', 'tcp://127.0.0.1:0'], ...sections['sip'] },
      media: { bind: '127.0.0.1', workers: 0, ...sections['media'] },
      http: { port: 0, ...sections['http'] },
      routes,
    };
    writeFileSync(file, JSON.stringify(document));
    return loadConfig({ file, env: {} }).config;
  } finally {
    rmSync(directory, { recursive: true });
  }
}

/** For the other side of a call, whose log is nobody's business. */
export const SILENT_LOGGER: Logger = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
  child: () => SILENT_LOGGER,
};

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

/** Bytes of the heap that are really in use. */
export async function heapUsed(): Promise<number> {
  // Twice: the first collection may leave finalizers to be run.
  for (let n = 0; n < 2; n++) {
    collectGarbage();
    await sleep(50);
  }
  return process.memoryUsage().heapUsed;
}

/** Every line the bridge has logged. */
export class CollectedLog {
  readonly lines: LogLine[] = [];
  readonly logger: Logger = this.#loggerWith({});

  /** Lines of an event, of one call or of all. */
  events(event: string, callId?: string): LogLine[] {
    return this.lines.filter((line) => line.event === event && (callId === undefined || line['callId'] === callId));
  }

  wait(event: string, callId?: string): Promise<LogLine> {
    return vi.waitFor(
      () => {
        const [line] = this.events(event, callId);
        if (!line) throw new Error(`No ${event}${callId === undefined ? '' : ` of ${callId}`} was logged`);
        return line;
      },
      { timeout: PATIENCE_MS, interval: 10 },
    );
  }

  /** Lines that say that the bridge itself is at fault. */
  faults(): LogLine[] {
    return this.lines.filter(({ level, event }) => level === 'error' || event === 'sip.fault');
  }

  #loggerWith(bound: Record<string, unknown>): Logger {
    const at =
      (level: LogLine['level']) =>
      (fields: LogFields): void => {
        this.lines.push({ ...bound, ...fields, level });
      };
    return {
      debug: () => undefined,
      info: at('info'),
      warn: at('warn'),
      error: at('error'),
      child: (fields) => this.#loggerWith({ ...bound, ...fields }),
    };
  }
}

interface PendingTimer {
  readonly dueMs: number;
  readonly fire: () => void;
  cancel: CancelTimer;
}

/** The system's clock, except that a test can let time pass that nobody has to wait for. */
export class LeapingClock implements Clock {
  #aheadMs = 0;
  readonly #timers = new Set<PendingTimer>();

  nowMs(): number {
    return systemClock.nowMs() + this.#aheadMs;
  }

  after(delayMs: number, fire: () => void): CancelTimer {
    const timer: PendingTimer = {
      dueMs: this.nowMs() + Math.max(0, delayMs),
      fire: () => {
        this.#timers.delete(timer);
        fire();
      },
      cancel: () => undefined,
    };
    this.#timers.add(timer);
    this.#arm(timer);
    return () => {
      this.#timers.delete(timer);
      timer.cancel();
    };
  }

  /** Timers that have neither fired nor been cancelled. */
  get pendingTimers(): number {
    return this.#timers.size;
  }

  /** Lets `durationMs` pass within a few milliseconds, in steps between which sockets are read as usual. */
  async pass(durationMs: number, stepMs = 1_000): Promise<void> {
    for (let leftMs = durationMs; leftMs > 0; leftMs -= stepMs) {
      this.#leap(Math.min(stepMs, leftMs));
      await sleep(1);
    }
    for (const timer of this.#timers) {
      timer.cancel();
      this.#arm(timer);
    }
  }

  /** Fires what falls due on the way at its own time, in order; what is set meanwhile comes after that. */
  #leap(durationMs: number): void {
    const untilMs = this.nowMs() + durationMs;
    for (let due = this.#dueBy(untilMs); due.length > 0; due = this.#dueBy(untilMs)) {
      for (const timer of due) {
        if (!this.#timers.has(timer)) continue;
        this.#aheadMs += Math.max(0, timer.dueMs - this.nowMs());
        timer.cancel();
        timer.fire();
      }
    }
    this.#aheadMs += Math.max(0, untilMs - this.nowMs());
  }

  #arm(timer: PendingTimer): void {
    timer.cancel = systemClock.after(Math.max(0, timer.dueMs - this.nowMs()), timer.fire);
  }

  #dueBy(untilMs: number): PendingTimer[] {
    return [...this.#timers].filter(({ dueMs }) => dueMs <= untilMs).sort((a, b) => a.dueMs - b.dueMs);
  }
}
