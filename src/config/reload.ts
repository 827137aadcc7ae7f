import type { BridgeConfig, SipConfig } from './types.js';

export interface Reloaded {
  /**
   * What to run on from now: the new routes, keys, certificates, limits, who may call, registrations, callers' passwords,
   * where the number called stands and what is logged, the rest as it was.
   */
  readonly config: BridgeConfig;
  /** Settings that differ in the new file but only take effect at a restart, by dotted path. */
  readonly needRestart: readonly string[];
}

/** Merges a newly loaded configuration into the running one, whose sockets are open and stay so. */
export function applyReload(running: BridgeConfig, next: BridgeConfig): Reloaded {
  const { pranthora, call, drainMs, routes } = next;
  const { level, dtmfDigits } = next.log;
  const log = { ...running.log, level, dtmfDigits };
  const { allow, scanners, maxCallsPerSource, registrations, auth, didFrom } = next.sip;
  const reloaded = { allow, scanners, maxCallsPerSource, registrations, auth, didFrom };
  const sip = Object.freeze({ ...withCertificates(running.sip, next.sip), ...reloaded });
  return {
    config: Object.freeze({ ...running, pranthora, sip, call, drainMs, routes, log: Object.freeze(log) }),
    needRestart: [
      ...differences('sip', sip, next.sip),
      ...differences('media', running.media, next.media),
      ...differences('http', running.http, next.http),
      ...differences('log', log, next.log),
    ],
  };
}

/** Listeners stay as they are, but new connections see the new certificate, and are judged by the new authorities. */
function withCertificates(running: SipConfig, next: SipConfig): SipConfig {
  if (!running.tls || !next.tls) return running;
  const { requestClientCertificate } = running.tls;
  return Object.freeze({ ...running, tls: Object.freeze({ ...next.tls, requestClientCertificate }) });
}

function differences(group: string, before: object, after: object): string[] {
  const old = new Map(Object.entries(before));
  const keys = new Set([...old.keys(), ...Object.keys(after)]);
  const now = new Map(Object.entries(after));
  return [...keys]
    .filter((key) => JSON.stringify(old.get(key)) !== JSON.stringify(now.get(key)))
    .map((key) => `${group}.${key}`);
}
