import { dirname, resolve } from 'node:path';
import { readAdvertise } from './sections/advertise.js';
import { resolveApiKeys, type KeyFiles, type KeySources } from './sections/api-key.js';
import { readDidFrom } from './did-from.js';
import { readDocument, refusePrototypes, settingsOf } from './document.js';
import { FaultList } from './faults.js';
import { warnOfOpenConfiguration } from './file-mode.js';
import { reachableAddress, reachableHost } from './formats.js';
import { environmentNamesFreeswitch, readFreeswitch } from './sections/freeswitch.js';
import { present } from './present.js';
import { readRegistrations } from './sections/registrations.js';
import { needsSharedKey, readRoutes } from './sections/routes.js';
import { LEAVES } from './schema.js';
import type { Settings } from './schema.js';
import { resolveSettings } from './settings.js';
import { readSipAuth } from './sections/sip-auth.js';
import { resolveSipTls } from './sections/sip-tls.js';
import { resolveTls } from './sections/tls.js';
import type { BridgeConfig, SipTlsConfig, Source, TlsConfig } from './types.js';
import { warningsAbout } from './warnings.js';

type Environment = Readonly<Record<string, string | undefined>>;

export interface LoadOptions {
  /** A YAML or JSON file; without it, the one `BRIDGE_CONFIG` names, if it names one. */
  readonly file?: string;
  /** The process's own unless given. */
  readonly env?: Environment;
  /** From the command line: dotted path to text. Lists are separated by commas. */
  readonly overrides?: Readonly<Record<string, string>>;
  /** Lets routes be without an API key (then `''`), for questions that need no connection. */
  readonly withoutKeys?: boolean;
}

export interface LoadedConfig {
  readonly config: BridgeConfig;
  /** Who decided each setting, by dotted path. */
  readonly sources: ReadonlyMap<string, Source>;
  /** What is allowed but probably not meant, a sentence each. */
  readonly warnings: readonly string[];
  /** Where the file is. */
  readonly file?: string;
  /** What a change of means that the configuration is another: the file, and those of the API keys. */
  readonly watched: readonly string[];
}

/**
 * The configuration: defaults, overruled by the file, overruled by the environment, overruled by the command line.
 * @throws ConfigError with everything that is wrong
 */
export function loadConfig(options: LoadOptions = {}): LoadedConfig {
  const environment = withProxyVariables(options.env ?? process.env);
  const file = configFile(options.file, environment);
  const faults = new FaultList();
  const document = file === undefined ? undefined : readDocument(file);
  if (file !== undefined) warnOfOpenConfiguration(file, document, faults);
  const fileSettings = file === undefined ? new Map<string, unknown>() : settingsOf(document, faults);
  const { settings, sources } = resolveSettings(
    {
      file: fileSettings,
      environment,
      commandLine: knownOverrides(options.overrides ?? {}, faults),
    },
    faults,
  );
  if (environmentNamesFreeswitch(environment)) sources.set('media.freeswitch', 'environment');
  const withoutKeys = options.withoutKeys === true;
  const keyFiles: KeyFiles = new Map();
  const apiKeys = resolveApiKeys(settings, sources, { configFile: file, files: keyFiles }, faults);
  if (apiKeys.length === 0 && !withoutKeys) checkKeys(settings, faults);
  const tls = resolveTls(settings, sources, file, faults);
  const sipTls = resolveSipTls(settings, sources, file, faults);
  const folder = file === undefined ? '.' : dirname(file);
  const keySources = { environment, folder, withoutKeys, files: keyFiles };
  const config = build(settings, faults, { environment, folder, apiKeys, keySources, tls, sipTls });
  checkTogether(config, faults);
  for (const [path, value] of fileSettings) refusePrototypes(path, value, faults);
  faults.throwIfAny();
  return {
    config: deepFreeze(config),
    sources,
    warnings: [...faults.warnings, ...warningsAbout(config)],
    watched: [...(file === undefined ? [] : [file]), ...keyFiles.keys()],
    ...(file === undefined ? {} : { file }),
  };
}

/** By custom these two may be written in lower case. */
function withProxyVariables(environment: Environment): Environment {
  const { https_proxy: proxy, no_proxy: exceptions } = environment;
  return { ...present({ HTTPS_PROXY: proxy, NO_PROXY: exceptions }), ...environment };
}

function configFile(given: string | undefined, environment: Environment): string | undefined {
  const named = given ?? environment['BRIDGE_CONFIG']?.trim() ?? '';
  return named === '' ? undefined : resolve(named);
}

function knownOverrides(overrides: Readonly<Record<string, string>>, faults: FaultList): Map<string, string> {
  const known = new Map<string, string>();
  for (const [path, value] of Object.entries(overrides)) {
    if (LEAVES.some((leaf) => leaf.path === path)) known.set(path, value);
    else faults.add({ path, message: 'no such setting', allowed: LEAVES.map((leaf) => leaf.path).join(', ') });
  }
  return known;
}

function checkKeys(settings: Settings, faults: FaultList): void {
  const noted = faults.has('pranthora.apiKey') || faults.has('pranthora.apiKeyFile');
  if (noted || (!faults.has('routes') && !needsSharedKey(settings.routes))) return;
  const allowed = 'PRANTHORA_API_KEY, or pranthora.apiKeyFile, or apiKeyEnv or apiKeyFile in every route';
  faults.add({ path: 'pranthora.apiKey', message: 'required', allowed });
}

interface Surroundings {
  readonly environment: Environment;
  /** Of the configuration file. */
  readonly folder: string;
  /** Those of `pranthora`; empty if there are none. */
  readonly apiKeys: readonly string[];
  readonly keySources: KeySources;
  readonly tls: TlsConfig | undefined;
  readonly sipTls: SipTlsConfig | undefined;
}

function build(settings: Settings, faults: FaultList, surroundings: Surroundings): BridgeConfig {
  const { environment, folder, apiKeys, keySources, tls, sipTls } = surroundings;
  const [apiKey] = apiKeys;
  const { url, connectTimeoutMs, startTimeoutMs, reconnect, ...network } = settings.pranthora;
  const { headers, ...customParameters } = network.customParameters;
  const { allowHosts, proxy, noProxy, sendCallId } = network;
  const { engine, listen, allow, scanners, maxCallsPerSource, maxRequestsPerSec, drachtio, ...sip } = settings.sip;
  const { minSec, expiresSec } = sip.sessionTimer;
  const { advertise: mediaAdvertise, freeswitch, ...media } = settings.media;
  const defaults = { apiKeys, url, keySources };
  return {
    pranthora: {
      url,
      connectTimeoutMs,
      startTimeoutMs,
      reconnect,
      customParameters: { ...customParameters, ...present({ headers }) },
      sendCallId,
      ...present({ apiKey, allowHosts, tls, proxy, noProxy }),
    },
    sip: {
      engine,
      listen,
      allow,
      didFrom: faults.has('sip.didFrom') ? [] : readDidFrom(sip.didFrom, faults),
      scanners,
      maxRequestsPerSec,
      drachtio,
      sessionTimer: { minSec, ...present({ expiresSec }) },
      registrations: faults.has('sip.registrations')
        ? []
        : readRegistrations(sip.registrations, { environment, folder }, faults),
      auth: readSipAuth(sip.auth, { environment, folder }, faults),
      ...present({
        advertise: readAdvertise('sip.advertise', sip.advertise, reachableHost, faults),
        tls: sipTls,
        maxCallsPerSource,
      }),
    },
    media: {
      ...media,
      ...present({ advertise: readAdvertise('media.advertise', mediaAdvertise, reachableAddress, faults) }),
      freeswitch: faults.has('media.freeswitch') ? [] : readFreeswitch(freeswitch, environment, faults),
    },
    call: settings.call,
    http: settings.http,
    log: settings.log,
    drainMs: settings.drainMs,
    // A list that was no list has had its fault already.
    routes: faults.has('routes') ? [] : readRoutes(settings.routes, defaults, faults),
  };
}

/** What is wrong only in view of something else. */
function checkTogether({ pranthora, media }: BridgeConfig, faults: FaultList): void {
  if (media.engine === 'freeswitch' && media.freeswitch.length === 0 && !faults.has('media.freeswitch')) {
    faults.add({ path: 'media.freeswitch', message: 'media.engine freeswitch needs at least one server' });
  }
  const { initialDelayMs, maxDelayMs } = pranthora.reconnect;
  if (initialDelayMs > maxDelayMs) {
    const path = 'pranthora.reconnect.initialDelayMs';
    faults.add({ path, message: 'longer than maxDelayMs', value: `${initialDelayMs}`, allowed: `up to ${maxDelayMs}` });
  }
}

function deepFreeze<T>(value: T): T {
  if (typeof value !== 'object' || value === null || Object.isFrozen(value)) return value;
  for (const child of Object.values(value)) deepFreeze(child);
  return Object.freeze(value);
}
