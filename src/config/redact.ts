import { REDACTED } from './faults.js';
import type { BridgeConfig, ServerAddress } from './types.js';

/** The same configuration with `[redacted]` in place of every secret. */
export function redact(config: BridgeConfig): BridgeConfig {
  const { pranthora, sip, media, routes } = config;
  return {
    ...config,
    pranthora: pranthora.apiKey === undefined ? pranthora : { ...pranthora, apiKey: REDACTED },
    sip: { ...sip, drachtio: redactServer(sip.drachtio) },
    media: { ...media, freeswitch: media.freeswitch.map(redactServer) },
    routes: routes.map((route) => ({ ...route, apiKey: REDACTED })),
  };
}

/** Every secret there is, each once: what a log must never show. */
export function secretsOf({ pranthora, sip, media, routes }: BridgeConfig): string[] {
  const keys = [pranthora.apiKey ?? '', ...routes.map((route) => route.apiKey)];
  const servers = [sip.drachtio, ...media.freeswitch].map((server) => server.secret);
  return [...new Set([...keys, ...servers])].filter((secret) => secret !== '');
}

function redactServer(server: ServerAddress): ServerAddress {
  return { ...server, secret: REDACTED };
}
