import { REDACTED } from './faults.js';
import type { BridgeConfig, PranthoraConfig, ServerAddress, SipConfig, Target } from './types.js';

/** The same configuration with `[redacted]` in place of every secret. */
export function redact(config: BridgeConfig): BridgeConfig {
  const { pranthora, sip, media, routes } = config;
  return {
    ...config,
    pranthora: redactPranthora(pranthora),
    sip: redactSip(sip),
    media: { ...media, freeswitch: media.freeswitch.map(redactServer) },
    routes: routes.map((route) => ({ ...route, targets: route.targets.map(redactTarget) })),
  };
}

function redactTarget(target: Target): Target {
  return { ...target, apiKeys: target.apiKeys.map(() => REDACTED) };
}

function redactSip({ auth, ...sip }: SipConfig): SipConfig {
  const users = auth?.users.map((user) =>
    'ha1' in user ? { ...user, ha1: REDACTED } : { ...user, password: REDACTED },
  );
  return {
    ...sip,
    ...(sip.tls && { tls: { ...sip.tls, keyPem: REDACTED } }),
    drachtio: redactServer(sip.drachtio),
    registrations: sip.registrations.map((each) => ({ ...each, password: REDACTED })),
    auth: auth && { ...auth, users: users ?? [] },
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
  const keys = [pranthora.apiKey ?? '', ...routes.flatMap(({ targets }) => targets.flatMap(({ apiKeys }) => apiKeys))];
  const servers = [sip.drachtio, ...media.freeswitch].map((server) => server.secret);
  const all = [...keys, ...servers, ...sipPasswords(sip), ...proxyPasswords(pranthora.proxy)];
  return [...new Set(all)].filter((secret) => secret !== '');
}

function sipPasswords({ registrations, auth }: SipConfig): string[] {
  const users = auth?.users.map((user) => ('ha1' in user ? user.ha1 : user.password)) ?? [];
  return [...registrations.map(({ password }) => password), ...users];
}

/** As it stands in the URL, and as it is sent. */
function proxyPasswords(proxy: string | undefined): string[] {
  const { password } = new URL(proxy ?? 'http://none');
  return [password, decodeURIComponent(password)];
}

function redactServer(server: ServerAddress): ServerAddress {
  return { ...server, secret: REDACTED };
}
