import * as formats from './formats.js';
import type { Format } from './formats.js';

/** One value an operator can set. */
export interface Setting<T> {
  readonly format: Format<T>;
  /** Null where leaving it out means having none. */
  readonly default: unknown;
  readonly env?: string;
  /** Never printed, not even when it is wrong. */
  readonly secret?: true;
}

function setting<T>(format: Format<T>, options: Omit<Setting<T>, 'format'>): Setting<T> {
  return { format, ...options };
}

function optional<T>(format: Format<T>, options: Omit<Setting<T>, 'format' | 'default'> = {}): Setting<T | undefined> {
  return { format, default: null, ...options };
}

const PRIVATE_RANGES = ['127.0.0.0/8', '10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', '::1/128', 'fc00::/7'];
/** What tools that look for open PBXs call themselves; none of these makes calls anybody wants. */
const SCANNERS = [
  ...['friendly-scanner', 'friendly-request', 'sipvicious', 'sundayddr', 'sipcli', 'sip-scan', 'pplsip', 'sivus'],
  // A word of other products' names.
  'iwar/',
];
const DAY_MS = 86_400_000;

/** Every setting there is, where it stands in a file, its environment variable and its default. */
export const SCHEMA = {
  pranthora: {
    url: setting(formats.webSocketUrl, { default: 'wss://api.pranthora.com', env: 'PRANTHORA_URL' }),
    apiKey: optional(formats.apiKey, { env: 'PRANTHORA_API_KEY', secret: true }),
    apiKeyFile: optional(formats.filePath, { env: 'PRANTHORA_API_KEY_FILE' }),
    connectTimeoutMs: setting(formats.wholeNumber(10, 120_000), { default: 4000 }),
    startTimeoutMs: setting(formats.wholeNumber(10, 120_000), { default: 4000 }),
    allowHosts: optional(formats.listOf(formats.hostAndPort)),
    tls: {
      ca: optional(formats.filePath),
      pinnedSha256: optional(formats.listOf(formats.publicKeyPin)),
      servername: optional(formats.hostName),
    },
    proxy: optional(formats.proxyUrl, { env: 'HTTPS_PROXY', secret: true }),
    noProxy: optional(formats.noProxy, { env: 'NO_PROXY' }),
    customParameters: {
      from: setting(formats.flag, { default: true }),
      fromName: setting(formats.flag, { default: true }),
      assertedIdentity: setting(formats.flag, { default: true }),
      to: setting(formats.flag, { default: true }),
      did: setting(formats.flag, { default: true }),
      sipCallId: setting(formats.flag, { default: true }),
      headers: optional(formats.listOf(formats.headerName)),
    },
    sendCallId: setting(formats.flag, { default: true }),
    reconnect: {
      maxAttempts: setting(formats.wholeNumber(0, 1000), { default: 8 }),
      initialDelayMs: setting(formats.wholeNumber(1, 60_000), { default: 200 }),
      maxDelayMs: setting(formats.wholeNumber(1, 600_000), { default: 5000 }),
      keepMs: setting(formats.wholeNumber(0, 10_000), { default: 400 }),
    },
  },
  sip: {
    engine: setting(formats.oneOf('embedded', 'drachtio'), { default: 'embedded', env: 'SIP_ENGINE' }),
    listen: setting(formats.listOf(formats.listenUri), {
      default: ['udp://0.0.0.0:5060', 'tcp://0.0.0.0:5060'],
      env: 'SIP_LISTEN',
    }),
    tls: {
      certFile: optional(formats.filePath, { env: 'SIP_TLS_CERT_FILE' }),
      keyFile: optional(formats.filePath, { env: 'SIP_TLS_KEY_FILE' }),
      caFile: optional(formats.filePath, { env: 'SIP_TLS_CA_FILE' }),
      requestClientCertificate: setting(formats.oneOf('never', 'optional', 'required'), { default: 'never' }),
    },
    advertise: optional(formats.orRules(formats.reachableHost), { env: 'SIP_ADVERTISE' }),
    allow: setting(formats.listOf(formats.cidr), { default: PRIVATE_RANGES, env: 'SIP_ALLOW' }),
    didFrom: setting(formats.placesOrRules, { default: ['requestUri'] }),
    scanners: setting(formats.listOrNone(formats.userAgentName), { default: SCANNERS }),
    maxCallsPerSource: optional(formats.wholeNumber(1, 100_000)),
    maxRequestsPerSec: setting(formats.wholeNumber(1, 100_000), { default: 1000 }),
    sessionTimer: {
      minSec: setting(formats.wholeNumber(90, 86_400), { default: 90 }),
      expiresSec: optional(formats.wholeNumber(90, 86_400)),
    },
    registrations: setting(formats.anyList, { default: [] }),
    auth: {
      realm: setting(formats.label, { default: 'pranthora-sip-bridge' }),
      algorithms: setting(formats.listOf(formats.oneOf('SHA-256', 'MD5')), { default: ['SHA-256', 'MD5'] }),
      users: setting(formats.anyList, { default: [] }),
    },
    drachtio: {
      host: setting(formats.host, { default: '127.0.0.1', env: 'DRACHTIO_HOST' }),
      port: setting(formats.remotePort, { default: 9022, env: 'DRACHTIO_PORT' }),
      secret: setting(formats.secret, { default: 'cymru', env: 'DRACHTIO_SECRET', secret: true }),
    },
  },
  media: {
    engine: setting(formats.oneOf('embedded', 'freeswitch'), { default: 'embedded', env: 'MEDIA_ENGINE' }),
    bind: setting(formats.ipAddress, { default: '0.0.0.0', env: 'MEDIA_BIND' }),
    advertise: optional(formats.orRules(formats.reachableAddress), { env: 'MEDIA_ADVERTISE' }),
    ports: setting(formats.portRange, { default: '20000-29999', env: 'MEDIA_PORTS' }),
    codecs: setting(formats.codecs, { default: ['G722', 'PCMU', 'PCMA'], env: 'MEDIA_CODECS' }),
    codecOrder: setting(formats.oneOf('offer', 'ours'), { default: 'offer' }),
    workers: setting(formats.workers, { default: 'auto', env: 'MEDIA_WORKERS' }),
    reorderMs: setting(formats.wholeNumber(0, 500), { default: 40 }),
    cushionMs: setting(formats.wholeNumber(0, 1000), { default: 200 }),
    dtmf: setting(formats.oneOf('none', 'inband', 'event'), { default: 'none' }),
    holdToAgent: setting(formats.oneOf('silence', 'audio'), { default: 'silence' }),
    freeswitch: setting(formats.anyList, { default: [] }),
  },
  call: {
    maxConcurrent: setting(formats.wholeNumber(1, 100_000), { default: 500, env: 'MAX_CALLS' }),
    maxDurationMs: setting(formats.wholeNumber(100, 7 * DAY_MS), { default: 14_400_000 }),
    rtpTimeoutMs: setting(formats.wholeNumber(100, DAY_MS), { default: 30_000 }),
    farewellMs: setting(formats.wholeNumber(0, 600_000), { default: 120_000 }),
    settleMs: setting(formats.wholeNumber(0, 10_000), { default: 400 }),
    transferTimeoutMs: setting(formats.wholeNumber(100, 600_000), { default: 15_000 }),
  },
  http: {
    host: setting(formats.host, { default: '127.0.0.1', env: 'HTTP_HOST' }),
    port: setting(formats.bindPort, { default: 8080, env: 'HTTP_PORT' }),
  },
  log: {
    level: setting(formats.logLevel, { default: 'info', env: 'LOG_LEVEL' }),
    pretty: setting(formats.flag, { default: false, env: 'LOG_PRETTY' }),
    redactNumbers: setting(formats.flag, { default: false }),
    dtmfDigits: setting(formats.flag, { default: false }),
  },
  drainMs: setting(formats.wholeNumber(0, DAY_MS), { default: 30_000, env: 'DRAIN_MS' }),
  routes: setting(formats.anyList, { default: [] }),
};

/** The schema's shape with each setting replaced by the type of its value. */
type Values<S> = { readonly [K in keyof S]: S[K] extends Setting<infer T> ? T : Values<S[K]> };
export type Settings = Values<typeof SCHEMA>;

/** A setting with the dotted path it stands at. */
export interface Leaf extends Setting<unknown> {
  readonly path: string;
}

export interface Branch {
  readonly [key: string]: Branch | Setting<unknown>;
}

export function isSetting(node: Branch | Setting<unknown>): node is Setting<unknown> {
  return 'format' in node;
}

function leavesOf(branch: Branch, parent: string): Leaf[] {
  return Object.entries(branch).flatMap(([key, node]) => {
    const path = parent === '' ? key : `${parent}.${key}`;
    return isSetting(node) ? [{ ...node, path }] : leavesOf(node, path);
  });
}

/** All settings, in the order of the schema. */
export const LEAVES: readonly Leaf[] = leavesOf(SCHEMA, '');

/** What stands at a dotted path: a setting, a group of settings, or nothing. */
export function schemaNode(path: readonly string[]): Branch | Setting<unknown> | undefined {
  let node: Branch | Setting<unknown> = SCHEMA;
  for (const key of path) {
    if (isSetting(node) || !Object.hasOwn(node, key)) return undefined;
    const child: Branch | Setting<unknown> | undefined = node[key];
    if (!child) return undefined;
    node = child;
  }
  return node;
}
