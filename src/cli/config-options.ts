import { InvalidArgumentError } from 'commander';
import type { Command } from 'commander';
import { loadConfig } from '../config/load.js';
import type { LoadedConfig } from '../config/load.js';
import type { Io } from './io.js';

/** What `--config` and `--set` leave in a command's options. */
export interface ConfigOptions {
  readonly config?: string;
  readonly set?: Readonly<Record<string, string>>;
}

/** Gives a command the options by which a configuration is found. */
export function addConfigOptions(command: Command): Command {
  return command
    .option('-c, --config <file>', 'configuration in YAML or JSON; without it, the file BRIDGE_CONFIG names')
    .option('--set <path=value>', 'overrule one setting, such as http.port=9090; may be repeated', collectSetting);
}

function collectSetting(text: string, before: Record<string, string> = {}): Record<string, string> {
  const separator = text.indexOf('=');
  if (separator <= 0) throw new InvalidArgumentError('Expected path=value.');
  return { ...before, [text.slice(0, separator)]: text.slice(separator + 1) };
}

/**
 * The configuration a command's options lead to.
 * @throws ConfigError with all faults
 */
export function loadRunnable(options: ConfigOptions, io: Io): LoadedConfig {
  return load(options, io);
}

/** The same for questions that need no connection: without keys. */
export function loadForQuestions(options: ConfigOptions, io: Io): LoadedConfig {
  return load(options, io, true);
}

function load(options: ConfigOptions, io: Io, withoutKeys = false): LoadedConfig {
  return loadConfig({
    ...(options.config === undefined ? {} : { file: options.config }),
    ...(io.env ? { env: io.env } : {}),
    overrides: options.set ?? {},
    withoutKeys,
  });
}
