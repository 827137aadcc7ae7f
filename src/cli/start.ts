import type { Command } from 'commander';
import { systemClock } from '../clock.js';
import type { Clock } from '../clock.js';
import type { Bridge } from '../compose.js';
import { ConfigError, formatFault } from '../config/faults.js';
import { secretsOf } from '../config/redact.js';
import { applyReload } from '../config/reload.js';
import type { LoadedConfig } from '../config/load.js';
import type { BridgeConfig } from '../config/types.js';
import { errorText } from '../error-text.js';
import type { Logger } from '../logger.js';
import { ListenFault } from '../ops/bind-fault.js';
import { createLog } from '../ops/log.js';
import type { Log } from '../ops/log.js';
import type { LogState } from '../ops/log-writer.js';
import { VERSION } from '../version.js';
import { addConfigOptions, loadRunnable } from './config-options.js';
import type { ConfigOptions } from './config-options.js';
import { FileWatch } from './file-watch.js';
import { ExitCode } from './io.js';
import type { Io, SignalSource } from './io.js';
import { supervise } from './supervise.js';

export type StartBridge = (
  config: BridgeConfig,
  dependencies: { logger: Logger; clock: Clock; version: string; log: () => LogState },
) => Promise<Bridge>;

interface StartOptions extends ConfigOptions {
  readonly watch?: boolean;
}

const EXAMPLE = `
SIGTERM and SIGINT let calls in progress finish for up to drainMs; a second one ends at once.
SIGHUP reloads routes, keys, limits, who may call, registrations, callers' passwords and the log level.
SIGUSR1 and SIGUSR2 do nothing. A log that cannot be written stops nothing; /health has the lines lost.

Example:
  PRANTHORA_API_KEY=... pranthora-sip-bridge start --config config/minimal.yaml
`;

export function registerStart(program: Command, io: Io, startBridge: StartBridge = startComposed): void {
  addConfigOptions(program.command('start', { isDefault: true }))
    .description('run the bridge (the default command)')
    .option('--watch', 'reload when the configuration file, or a file of an API key, changes')
    .addHelpText('after', EXAMPLE)
    // A misspelt command ends up here, since this is the default one.
    .allowExcessArguments()
    .action((options: StartOptions, command: Command) => {
      const [word] = command.args;
      if (word !== undefined) command.error(`error: there is no command '${word}'`);
      return runDaemon(options, io, startBridge);
    });
}

/** Loaded when it is needed: the commands that place no call start without the SIP and audio code. */
const startComposed: StartBridge = async (config, dependencies) => {
  const { startBridge } = await import('../compose.js');
  return startBridge(config, dependencies);
};

async function runDaemon(options: StartOptions, io: Io, startBridge: StartBridge): Promise<void> {
  const loaded = loadRunnable(options, io);
  const { config, warnings, file } = loaded;
  if (options.watch && file === undefined) {
    io.err('error: --watch needs a configuration file to watch\n');
    throw new ExitCode(2);
  }
  const log = createLog({
    ...config.log,
    secrets: secretsOf(config),
    ...(io.logDestination ? { destination: io.logDestination } : {}),
  });
  for (const warning of warnings) log.logger.warn({ event: 'config.warning' }, warning);
  const releases = [
    logUncaught(io.signals, log.logger),
    captureConsole(log.logger),
    captureWarnings(log.logger),
    outliveSignals(io.signals, log.logger),
  ];
  try {
    const bridge = await startOrExit(config, log, startBridge);
    const reloader = new Reloader(loaded, () => loadRunnable(options, io), bridge, log);
    await serve(bridge, reloader, { io, logger: log.logger, isWatched: options.watch === true });
  } finally {
    await log.flush();
    for (const release of releases) release();
  }
  io.leave(0);
}

async function startOrExit(config: BridgeConfig, log: Log, startBridge: StartBridge): Promise<Bridge> {
  const { logger, state } = log;
  try {
    return await startBridge(config, { logger, clock: systemClock, version: VERSION, log: state });
  } catch (error) {
    const what = errorText(error);
    // Where a stack would only hide what an operator has to do.
    const details = error instanceof ListenFault ? { setting: error.setting } : { error };
    logger.error({ event: 'bridge.failed', ...details }, what);
    throw new ExitCode(1);
  }
}

async function serve(
  bridge: Bridge,
  reloader: Reloader,
  { io, logger, isWatched }: { io: Io; logger: Logger; isWatched: boolean },
): Promise<void> {
  const reload = (): void => reloader.reload();
  const ended = supervise(bridge, {
    signals: io.signals,
    clock: systemClock,
    logger,
    drainMs: () => reloader.config.drainMs,
    reload,
  });
  const watch = isWatched ? new FileWatch(() => reloader.watched, systemClock, reload) : undefined;
  const { routes, sip, media } = reloader.config;
  const engines = { sipEngine: sip.engine, mediaEngine: media.engine };
  logger.info({
    event: 'bridge.ready',
    version: VERSION,
    sip: bridge.sip,
    http: bridge.http,
    routes: routes.length,
    ...engines,
  });
  await ended;
  watch?.close();
}

/** Holds the running configuration and replaces it, or says loudly why not. */
class Reloader {
  #config: BridgeConfig;
  #watched: readonly string[];
  readonly #load: () => LoadedConfig;
  readonly #bridge: Bridge;
  readonly #log: Log;

  constructor({ config, watched }: LoadedConfig, load: () => LoadedConfig, bridge: Bridge, log: Log) {
    this.#config = config;
    this.#watched = watched;
    this.#load = load;
    this.#bridge = bridge;
    this.#log = log;
  }

  get config(): BridgeConfig {
    return this.#config;
  }

  /** The files that the running configuration came from. */
  get watched(): readonly string[] {
    return this.#watched;
  }

  reload(): void {
    const { logger, setLevel, setSecrets } = this.#log;
    try {
      const loaded = this.#load();
      const { config, needRestart } = applyReload(this.#config, loaded.config);
      // A call in progress whose route is gone goes on with the key it began with.
      setSecrets([...secretsOf(this.#config), ...secretsOf(config)]);
      this.#bridge.configure(config);
      this.#config = config;
      this.#watched = loaded.watched;
      setLevel(config.log.level);
      logger.info({ event: 'config.reloaded', routes: config.routes.length, needRestart });
    } catch (error) {
      const faults = error instanceof ConfigError ? error.faults.map(formatFault) : [String(error)];
      logger.error({ event: 'config.refused', faults }, 'the new configuration is refused, the running one kept');
    }
  }
}

/**
 * The last net. One call's mistake must not end all the others, so what nobody caught is said loudly and the
 * process goes on; the call it belonged to ends by its own timeouts.
 */
function logUncaught(signals: SignalSource, logger: Logger): () => void {
  const report = (error: unknown): void => logger.error({ event: 'bridge.fault', error }, 'uncaught');
  signals.on('uncaughtException', report);
  signals.on('unhandledRejection', report);
  return () => {
    signals.off('uncaughtException', report);
    signals.off('unhandledRejection', report);
  };
}

/**
 * Signals whose default would end the process, or open a debugger, with calls in progress: log rotators send SIGUSR1 and
 * SIGUSR2, and a terminal that goes sends SIGHUP also before and after there is something to reload.
 */
function outliveSignals(signals: SignalSource, logger: Logger): () => void {
  const ignore = (signal: unknown): void => logger.info({ event: 'bridge.signal_ignored', signal });
  const outlive = (): void => undefined;
  signals.on('SIGUSR1', ignore);
  signals.on('SIGUSR2', ignore);
  signals.on('SIGHUP', outlive);
  return () => {
    signals.off('SIGUSR1', ignore);
    signals.off('SIGUSR2', ignore);
    signals.off('SIGHUP', outlive);
  };
}

/** Node prints its warnings on standard error by a write that waits. */
function captureWarnings(logger: Logger): () => void {
  const printers = process.listeners('warning');
  const log = (warning: Error): void => logger.warn({ event: 'library.warning', error: warning }, warning.message);
  process.removeAllListeners('warning').on('warning', log);
  return () => {
    process.off('warning', log);
    for (const printer of printers) process.on('warning', printer);
  };
}

/** Libraries (drachtio-fsmrf) talk to the console; whoever collects standard output expects one JSON object a line. */
function captureConsole(logger: Logger): () => void {
  const { log, info, warn, error } = console;
  const capture = (...words: unknown[]): void =>
    logger.debug({ event: 'library.console' }, words.map(String).join(' '));
  Object.assign(console, { log: capture, info: capture, warn: capture, error: capture });
  return () => {
    Object.assign(console, { log, info, warn, error });
  };
}
