import type { BridgeEvent, BridgeHandle, BridgeMedia, BridgePool } from '../../src/bridge/messages.js';
import type { BridgeStats } from '../../src/bridge/stats.js';
import type { AgentAddress } from '../../src/pranthora/agent-session.js';
import type { AgentEnding } from '../../src/pranthora/endings.js';

export const STATS: BridgeStats = {
  uplink: {
    packets: 500,
    lost: 1,
    late: 2,
    duplicates: 0,
    reordered: 0,
    foreign: 0,
    malformed: 0,
    frames: 502,
    filledMs: 40,
    concealedMs: 20,
    joinedFrames: 0,
    stretchedFrames: 0,
    droppedFrames: 0,
  },
  downlink: {
    packets: 500,
    sendErrors: 0,
    receivedMs: 9_000,
    playedMs: 8_000,
    discardedMs: 1_000,
    overflowedMs: 0,
    queuedMs: 0,
    underruns: 0,
    underrunMs: 0,
  },
  firstAudioMs: 120,
  interruptions: [{ reactionMs: 12, discardedMs: 1_000 }],
  reconnects: 1,
};

type EventBody = BridgeEvent extends infer E ? (E extends BridgeEvent ? Omit<E, 'bridge'> : never) : never;

/** Bridges without media: what they are told is noted, what they tell the test says. */
export class FakeBridgePool implements BridgePool {
  readonly bridges: FakeBridge[] = [];
  /** The bridge's socket takes its time to close. */
  holdClosed = false;

  open(onEvent: (event: BridgeEvent) => void): BridgeHandle {
    const bridge = new FakeBridge(this.bridges.length + 1, onEvent, this.holdClosed);
    this.bridges.push(bridge);
    return bridge;
  }

  get active(): number {
    return this.bridges.filter((bridge) => !bridge.isClosed).length;
  }

  stop(): Promise<void> {
    return Promise.resolve();
  }
}

export class FakeBridge implements BridgeHandle {
  readonly id: number;
  /** Kinds of the commands, in order. */
  readonly commands: string[] = [];
  readonly agents: AgentAddress[] = [];
  readonly media: BridgeMedia[] = [];
  readonly keys: (readonly string[])[] = [];
  readonly digits: string[] = [];
  /** The agent has more to be heard than nothing: `playedOut` says when it is. */
  holdPlayout = false;
  isClosed = false;
  readonly #onEvent: (event: BridgeEvent) => void;
  readonly #holdClosed: boolean;

  constructor(id: number, onEvent: (event: BridgeEvent) => void, holdClosed: boolean) {
    this.id = id;
    this.#onEvent = onEvent;
    this.#holdClosed = holdClosed;
  }

  connectAgent(address: AgentAddress): void {
    this.commands.push('connect-agent');
    this.agents.push(address);
  }

  setMedia(media: BridgeMedia): void {
    this.commands.push('set-media');
    this.media.push(media);
  }

  start(): void {
    this.commands.push('start');
  }

  confirm(): void {
    this.commands.push('confirm');
  }

  renewKeys(apiKeys: readonly string[]): void {
    this.commands.push('renew-keys');
    this.keys.push(apiKeys);
  }

  sendDigit(digit: string): void {
    this.commands.push('send-digit');
    this.digits.push(digit);
  }

  playOut(): void {
    this.commands.push('play-out');
    if (!this.holdPlayout) this.playedOut();
  }

  playedOut(leftMs = 0): void {
    this.tell({ kind: 'played-out', leftMs });
  }

  close(): void {
    this.commands.push('close');
    if (!this.#holdClosed && !this.isClosed) this.closed();
  }

  closed(): void {
    this.tell({ kind: 'closed', stats: STATS });
    this.isClosed = true;
  }

  /** After `closed` nothing comes any more, as promised. */
  tell(event: EventBody): void {
    if (!this.isClosed) this.#onEvent({ ...event, bridge: this.id });
  }

  opened(): void {
    this.tell({ kind: 'opened', rtpPort: 20_000 + 2 * this.id });
  }

  agentReady(): void {
    this.tell({ kind: 'agent-ready', connectMs: 80.4, startMs: 40.2 });
  }

  agentEnded(ending: AgentEnding): void {
    this.tell({ kind: 'agent-ended', ending });
  }

  count(command: string): number {
    return this.commands.filter((each) => each === command).length;
  }
}
