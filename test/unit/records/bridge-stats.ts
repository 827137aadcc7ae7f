import type { BridgeStats, DownlinkStats, PathStats, UplinkStats } from '../../../src/bridge/stats.js';

type Full = BridgeStats & { readonly path: PathStats };

/** The same, less what may be missing. */
export function without<T extends object, K extends keyof T>(from: T, key: K): Omit<T, K> {
  const copy = { ...from };
  Reflect.deleteProperty(copy, key);
  return copy;
}

/** Figures of a minute in which nothing went wrong, but for the changes. */
export function bridgeStats(
  changes: {
    path?: Partial<PathStats>;
    uplink?: Partial<UplinkStats>;
    downlink?: Partial<DownlinkStats>;
    remote?: NonNullable<BridgeStats['remote']>;
  } = {},
): Full {
  const remote = changes.remote ?? { address: '198.51.100.9', port: 4_000 };
  return {
    uplink: {
      packets: 3_000,
      lost: 0,
      late: 0,
      duplicates: 0,
      reordered: 0,
      foreign: 0,
      malformed: 0,
      frames: 3_000,
      filledMs: 0,
      concealedMs: 0,
      joinedFrames: 0,
      stretchedFrames: 0,
      droppedFrames: 0,
      ...changes.uplink,
    },
    downlink: {
      packets: 3_000,
      sendErrors: 0,
      receivedMs: 20_000,
      playedMs: 20_000,
      discardedMs: 0,
      overflowedMs: 0,
      queuedMs: 0,
      underruns: 0,
      underrunMs: 0,
      ...changes.downlink,
    },
    interruptions: [],
    reconnects: 0,
    remote,
    path: {
      activeMs: 60_000,
      sendingMs: 60_000,
      receivingMs: 60_000,
      described: remote,
      silentMs: 10,
      foreignPayloads: 0,
      unaddressed: 0,
      expectedPackets: 3_000,
      lostPackets: 0,
      jitterMs: 0,
      packetMs: 20,
      rtcp: { sent: 12, received: 12, malformed: 0, byeReceived: false, foreign: 0 },
      addedDelay: {},
      ...changes.path,
    },
  };
}
