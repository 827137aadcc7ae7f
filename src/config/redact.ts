import { REDACTED } from './faults.js';
import type { BridgeConfig, PranthoraConfig, ServerAddress } from './types.js';

/** The same configuration with `[redacted]` in place of every secret. */
export function redact(config: BridgeConfig): BridgeConfig {
  const { pranthora, sip, media, routes } = config;
  return {
    ...config,
    pranthora: redactPranthora(pranthora),
    sip: {
      ...sip,
      drachtio: redactServer(sip.drachtio),
      ...(sip.tls && { tls: { ...sip.tls, keyPem: REDACTED } }),
    },
    media: { ...media, freeswitch: media.freeswitch.map(redactServer) },
    routes: routes.map((route) => ({ ...route, apiKey: REDACTED })),
  };
}

function redactPranthora({ apiKey, proxy, ...rest }: PranthoraConfig): PranthoraConfig {
  return {
    ...rest,
    ...(apiKey !== undefined && { apiKey: REDACTED }),
    ...(proxy !== undefined && { proxy: withoutCredentials(proxy) }),
  };
}

function withoutCredentials(proxy: string): string {
  return proxy.replace(/\/\/.*@/, `//${REDACTED}@`);
}

/** Every secret there is, each once: what a log must never show. */
export function secretsOf({ pranthora, sip, media, routes }: BridgeConfig): string[] {
  const keys = [pranthora.apiKey ?? '', ...routes.map((route) => route.apiKey)];
  const servers = [sip.drachtio, ...media.freeswitch].map((server) => server.secret);
  return [...new Set([...keys, ...servers, ...proxyPasswords(pranthora.proxy)])].filter((secret) => secret !== '');
}

/** As it stands in the URL, and as it is sent. */
function proxyPasswords(proxy: string | undefined): string[] {
  const { password } = new URL(proxy ?? 'http://none');
  return [password, decodeURIComponent(password)];
}

function redactServer(server: ServerAddress): ServerAddress {
  return { ...server, secret: REDACTED };
}
