import type { Command } from 'commander';
import { Document, isCollection, isNode } from 'yaml';
import type { LoadedConfig } from '../config/load.js';
import { REDACTED } from '../config/faults.js';
import { redact } from '../config/redact.js';
import { LEAVES } from '../config/schema.js';
import type { BridgeConfig, Route, Target } from '../config/types.js';
import { addConfigOptions, loadRunnable } from './config-options.js';
import type { ConfigOptions } from './config-options.js';
import type { Io } from './io.js';

const EXAMPLE = `
Example:
  pranthora-sip-bridge check --config config/example.yaml
`;

export function registerCheck(program: Command, io: Io): void {
  addConfigOptions(program.command('check'))
    .description('validate the configuration; print what is in effect, and where each value came from')
    .addHelpText('after', EXAMPLE)
    .action((options: ConfigOptions) => {
      const loaded = loadRunnable(options, io);
      io.out(effectiveYaml(loaded));
      for (const warning of loaded.warnings) io.err(`warning: ${warning}\n`);
    });
}

/** The configuration in effect as YAML, secrets redacted, each value with a comment that says who decided it. */
export function effectiveYaml({ config, sources, file }: LoadedConfig): string {
  const shown = redact(config);
  const document = new Document({});
  if (file !== undefined) document.commentBefore = ` file: ${file}`;
  for (const { path } of LEAVES) {
    const value = valueAt(shown, path);
    if (value === undefined) continue;
    // A list of plain values fits on the line with its comment.
    const plain = Array.isArray(value) && value.every((item) => typeof item !== 'object');
    const node = document.createNode(value, { flow: plain });
    if (isCollection(node) && !plain) node.commentBefore = ` ${sources.get(path) ?? ''}`;
    else if (isNode(node)) node.comment = ` ${sources.get(path) ?? ''}`;
    document.setIn(path.split('.'), node);
  }
  return document.toString({ lineWidth: 0 });
}

/** A setting's value in the form it has in a file. */
function valueAt(config: BridgeConfig, path: string): unknown {
  if (path === 'media.ports') return `${config.media.ports.min}-${config.media.ports.max}`;
  if (path === 'routes') return config.routes.map(fileForm);
  return path.split('.').reduce<unknown>((node, key) => (node as Record<string, unknown> | undefined)?.[key], config);
}

/** Where targets' keys are from is not said; that there are some is. */
function fileForm({ name, match, targets, ...rest }: Route): object {
  return { name, ...match, targets: targets.map(withoutKeys), ...rest, apiKey: REDACTED };
}

function withoutKeys(target: Target): object {
  return Object.fromEntries(Object.entries(target).filter(([key]) => key !== 'apiKeys'));
}
