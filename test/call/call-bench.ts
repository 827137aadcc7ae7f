import { expect } from 'vitest';
import type { CustomParametersConfig, Route } from '../../src/config/types.js';
import { CallEventBus, type CallSubscriber } from '../../src/events/call-event-bus.js';
import type { CallEvent } from '../../src/events/call-events.js';
import type { CallRecord } from '../../src/events/call-record.js';
import { CallController, type ControllerSettings } from '../../src/control/controller.js';
import { callLog } from '../../src/ops/call-log.js';
import { callRecords } from '../../src/records/call-records.js';
import { EmbeddedMediaEngine } from '../../src/media/embedded.js';
import type { AcceptedOffer, BridgeAddress, MediaEngine, MediaLeg } from '../../src/media/engine.js';
import type { AgentEnding } from '../../src/pranthora/endings.js';
import { FakeBridgePool, type FakeBridge } from '../support/fake-bridge-pool.js';
import { FakeClock } from '../support/fake-clock.js';
import { FakeInvite, type FakeDialog, type FakeInviteOptions } from '../support/fake-invite.js';
import { RecordingLogger } from '../support/recording-logger.js';
import { agent } from '../support/targets.js';

export const OFFER = [
  'v=0',
  'o=- 7 7 IN IP4 192.0.2.7',
  's=-',
  'c=IN IP4 192.0.2.7',
  't=0 0',
  'm=audio 4000 RTP/AVP 0 8 101',
  'a=rtpmap:101 telephone-event/8000',
  '',
].join('\r\n');

export const ENDINGS = {
  configuration: { kind: 'configuration', detail: 'Pranthora refused the API key (close 4001)', closeCode: 4001 },
  unreachable: { kind: 'unreachable', detail: 'connection refused [ECONNREFUSED]' },
  hangup: { kind: 'agent-hangup', detail: 'the agent ended the call (close 1000)', closeCode: 1000 },
} as const satisfies Record<string, AgentEnding>;

const TELL_ALL: CustomParametersConfig = {
  ...{ from: true, fromName: true, assertedIdentity: true, to: true, did: true, sipCallId: true },
};

const START = Date.UTC(2026, 0, 2, 3, 4, 5);

export function route(changes: Partial<Route> = {}): Route {
  return {
    name: 'main',
    match: { default: true },
    targets: [agent('agent-1')],
    onAgentEnd: 'hangup',
    ...changes,
  };
}

const SETTINGS: ControllerSettings = {
  routes: [route()],
  maxConcurrent: 100,
  maxDurationMs: 600_000,
  transferTimeoutMs: 15_000,
  logDigits: false,
  customParameters: TELL_ALL,
  sendCallId: true,
  allow: () => true,
  didPlaces: () => ['requestUri'],
};

/** Lets every promise that can go on do so. */
export const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** The embedded engine, with its legs counted, and lost when the test says so. */
class FragileMediaEngine implements MediaEngine {
  readonly name = 'embedded';
  readonly legs: MediaLeg[] = [];
  readonly closed = new Set<MediaLeg>();
  /** `connect` rejects with it. */
  fault: Error | undefined;
  /** A lost leg's `replace` rejects with it. */
  replaceFault: Error | undefined;
  #held: Promise<void> | undefined;
  readonly #engine = new EmbeddedMediaEngine({ codecs: ['PCMU', 'PCMA'], bind: '0.0.0.0' });

  accept(offer: string | undefined, offeredBy?: string): AcceptedOffer {
    const accepted = this.#engine.accept(offer, offeredBy);
    return {
      connect: async (bridgePort, localAddress, peerAddress = '') => {
        await this.#held;
        if (this.fault) throw this.fault;
        const at = { bridgePort, localAddress, peerAddress };
        return this.#counted(await accepted.connect(bridgePort, localAddress, peerAddress), at);
      },
    };
  }

  /** Makes `connect` and `replace` wait until the returned function is called. */
  hold(): () => void {
    let release: () => void = () => undefined;
    this.#held = new Promise((resolve) => (release = resolve));
    return release;
  }

  /** The media server behind the newest leg is gone. */
  lose(detail = 'media server gone'): void {
    this.legs.at(-1)?.onLost?.(detail);
  }

  #counted(leg: MediaLeg, at: BridgeAddress): MediaLeg {
    this.legs.push(leg);
    const close = leg.close.bind(leg);
    leg.close = () => {
      this.closed.add(leg);
      return close();
    };
    leg.replace = async () => {
      await this.#held;
      if (this.replaceFault) throw this.replaceFault;
      return this.#counted(this.#engine.leg(at), at);
    };
    return leg;
  }
}

/** The real controller and calls between a fake caller and a fake bridge, in virtual time. */
export class CallBench {
  readonly clock = new FakeClock();
  readonly pool = new FakeBridgePool();
  readonly media = new FragileMediaEngine();
  readonly invites: FakeInvite[] = [];
  readonly controller: CallController;
  readonly #logger = new RecordingLogger();
  readonly #events = new CallEventBus({ clock: this.clock, logger: this.#logger });
  readonly #delivered: CallEvent[] = [];

  constructor(settings: Partial<ControllerSettings> = {}) {
    this.controller = new CallController(
      { ...SETTINGS, ...settings },
      {
        clock: this.clock,
        wallTime: () => new Date(START + this.clock.nowMs() - 1_000),
        events: this.#events,
        bridges: this.pool,
        media: this.media,
        sipEngine: 'embedded',
      },
    );
    this.#events.subscribe('records', callRecords(this.#events));
    this.#events.subscribe('log', callLog(this.#logger));
    this.#events.subscribe('bench', (event) => void this.#delivered.push(event));
  }

  /** One more beside the log and the record. */
  subscribe(subscriber: CallSubscriber): void {
    this.#events.subscribe('of the test', subscriber);
  }

  /** What would be done later in the event loop's turn. */
  deliverEvents(): void {
    this.#events.deliverNow();
  }

  /** Every event so far, in order. */
  get events(): readonly CallEvent[] {
    this.deliverEvents();
    return this.#delivered;
  }

  /** With the lines of every event so far. */
  get logger(): RecordingLogger {
    this.deliverEvents();
    return this.#logger;
  }

  /** Whether each agent tried could be reached. */
  get agentOutcomes(): boolean[] {
    const outcomes = this.events.filter(({ event }) => event === 'agent.connected' || event === 'agent.failed');
    return outcomes.map(({ event }) => event === 'agent.connected');
  }

  get sourcesAtCapacity(): number {
    return this.events.filter((one) => one.event === 'call.closed' && one.end.reason === 'source_at_capacity').length;
  }

  /** A reload. */
  configure(settings: Partial<ControllerSettings>): void {
    this.controller.configure({ ...SETTINGS, ...settings });
  }

  /** An INVITE comes. */
  receive(options: FakeInviteOptions = {}): FakeInvite {
    const invite = new FakeInvite({ offer: OFFER, ...options });
    this.invites.push(invite);
    this.controller.onInvite(invite);
    return invite;
  }

  get bridge(): FakeBridge {
    const bridge = this.pool.bridges.at(-1);
    if (!bridge) throw new Error('no bridge was opened');
    return bridge;
  }

  /** A call whose agent is being connected. */
  connecting(options: FakeInviteOptions = {}): FakeInvite {
    const invite = this.receive(options);
    this.clock.advance(1);
    this.bridge.opened();
    return invite;
  }

  /** A call that has been answered 140 ms after its INVITE. */
  async answered(
    options: FakeInviteOptions = {},
  ): Promise<{ invite: FakeInvite; dialog: FakeDialog; bridge: FakeBridge }> {
    const invite = this.connecting(options);
    const { bridge } = this;
    this.clock.advance(139);
    bridge.agentReady();
    await settle();
    if (!invite.dialog) throw new Error('not answered');
    return { invite, dialog: invite.dialog, bridge };
  }

  record(invite: FakeInvite): CallRecord {
    const [line, ...more] = this.logger.of('call.ended', invite.callId);
    expect(more).toEqual([]);
    if (!line) throw new Error('the call has not ended');
    return line as unknown as CallRecord;
  }

  /** Every call is over, told once, and nothing of it is left. */
  async expectAllOver(): Promise<void> {
    await settle();
    for (const invite of this.invites) {
      expect(invite.finals).toBe(1);
      expect(this.logger.of('call.ended', invite.callId)).toHaveLength(1);
      const { dialog } = invite;
      if (dialog) expect(dialog.byes).toHaveLength(dialog.endedByPeer ? 0 : 1);
    }
    for (const bridge of this.pool.bridges) {
      expect(bridge.count('close')).toBe(1);
      expect(bridge.isClosed).toBe(true);
    }
    expect([...this.media.closed]).toHaveLength(this.media.legs.length);
    expect(this.controller.active).toBe(0);
    expect(this.controller.calls()).toEqual([]);
    expect(this.clock.pendingTimers).toBe(0);
  }
}
