import type { BridgeCommand, BridgeEvent, BridgeHandle, BridgeId } from '../messages.js';
import type { BridgeStats } from '../stats.js';

interface OpenBridge {
  readonly onEvent: (event: BridgeEvent) => void;
  /** The latest told. */
  stats: BridgeStats;
}

const NO_STATS: BridgeStats = {
  uplink: {
    packets: 0,
    lost: 0,
    late: 0,
    duplicates: 0,
    reordered: 0,
    foreign: 0,
    malformed: 0,
    frames: 0,
    filledMs: 0,
    concealedMs: 0,
    joinedFrames: 0,
    stretchedFrames: 0,
    droppedFrames: 0,
  },
  downlink: {
    packets: 0,
    sendErrors: 0,
    receivedMs: 0,
    playedMs: 0,
    discardedMs: 0,
    overflowedMs: 0,
    queuedMs: 0,
    underruns: 0,
    underrunMs: 0,
  },
  interruptions: [],
  reconnects: 0,
};

/** Bridges in one place, as they are held from elsewhere: what is said to each goes there, what happens comes back. */
export class BridgeHandles {
  readonly #send: (command: BridgeCommand) => void;
  readonly #open = new Map<BridgeId, OpenBridge>();
  readonly #whenEmpty: (() => void)[] = [];
  #isLost = false;

  constructor(send: (command: BridgeCommand) => void) {
    this.#send = send;
  }

  get active(): number {
    return this.#open.size;
  }

  /** `id` must be another one than those of bridges not yet closed. */
  open(id: BridgeId, onEvent: (event: BridgeEvent) => void): BridgeHandle {
    this.#open.set(id, { onEvent, stats: NO_STATS });
    this.#tell({ kind: 'open', bridge: id });
    return {
      id,
      connectAgent: (address) => this.#tell({ kind: 'connect-agent', bridge: id, address }),
      setMedia: (media) => this.#tell({ kind: 'set-media', bridge: id, media }),
      start: () => this.#tell({ kind: 'start', bridge: id }),
      confirm: () => this.#tell({ kind: 'confirm', bridge: id }),
      renewKeys: (apiKeys) => this.#tell({ kind: 'renew-keys', bridge: id, apiKeys }),
      sendDigit: (digit) => this.#tell({ kind: 'send-digit', bridge: id, digit }),
      playOut: () => this.#tell({ kind: 'play-out', bridge: id }),
      close: () => this.#tell({ kind: 'close', bridge: id }),
    };
  }

  deliver(event: BridgeEvent): void {
    const bridge = this.#open.get(event.bridge);
    if (!bridge) return;
    if (event.kind === 'stats') bridge.stats = event.stats;
    if (event.kind === 'closed') this.#open.delete(event.bridge);
    bridge.onEvent(event);
    if (this.#open.size === 0) for (const resolve of this.#whenEmpty.splice(0)) resolve();
  }

  /** The place is gone and its bridges with it: that is told to each, and closing them is all that is left to do. */
  lose(detail: string): void {
    this.#isLost = true;
    for (const bridge of [...this.#open.keys()]) this.deliver({ kind: 'lost', bridge, detail });
  }

  /** Closes every bridge; resolves when all are. */
  closeAll(): Promise<void> {
    for (const bridge of [...this.#open.keys()]) this.#tell({ kind: 'close', bridge });
    if (this.#open.size === 0) return Promise.resolve();
    return new Promise((resolve) => this.#whenEmpty.push(resolve));
  }

  #tell(command: BridgeCommand): void {
    const bridge = this.#open.get(command.bridge);
    if (!bridge) return;
    if (!this.#isLost) this.#send(command);
    else if (command.kind === 'close') {
      this.deliver({ kind: 'closed', bridge: command.bridge, stats: bridge.stats });
    }
  }
}
