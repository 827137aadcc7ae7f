import type { BridgeConfig } from './types.js';

export interface Reloaded {
  /** What to run on from now: the new routes, keys, limits and what is logged, the rest as it was. */
  readonly config: BridgeConfig;
  /** Settings that differ in the new file but only take effect at a restart, by dotted path. */
  readonly needRestart: readonly string[];
}

/** Merges a newly loaded configuration into the running one, whose sockets are open and stay so. */
export function applyReload(running: BridgeConfig, next: BridgeConfig): Reloaded {
  const { pranthora, call, drainMs, routes } = next;
  const { level, dtmfDigits } = next.log;
  const log = { ...running.log, level, dtmfDigits };
  return {
    config: Object.freeze({ ...running, pranthora, call, drainMs, routes, log: Object.freeze(log) }),
    needRestart: [
      ...differences('sip', running.sip, next.sip),
      ...differences('media', running.media, next.media),
      ...differences('http', running.http, next.http),
      ...differences('log', log, next.log),
    ],
  };
}

function differences(group: string, before: object, after: object): string[] {
  const old = new Map(Object.entries(before));
  const keys = new Set([...old.keys(), ...Object.keys(after)]);
  const now = new Map(Object.entries(after));
  return [...keys]
    .filter((key) => JSON.stringify(old.get(key)) !== JSON.stringify(now.get(key)))
    .map((key) => `${group}.${key}`);
}
