import type { Command } from 'commander';
import { systemClock } from '../clock.js';
import { networkSettings } from '../compose.js';
import type { BridgeConfig, Route } from '../config/types.js';
import { secretsOf } from '../config/redact.js';
import { createLog } from '../ops/log.js';
import { checkAdvertised, checkPorts, type Finding } from '../ops/preflight.js';
import { addConfigOptions, loadRunnable, type ConfigOptions } from './config-options.js';
import { ExitCode, type Io } from './io.js';

const EXAMPLE = `
Binds the configured ports for a moment, and opens every route's agent as a call would.

Example:
  PRANTHORA_API_KEY=... pranthora-sip-bridge doctor --config config/minimal.yaml
`;

export function registerDoctor(program: Command, io: Io): void {
  addConfigOptions(program.command('doctor'))
    .description('preflight: ports, advertised addresses, and every agent opened for real')
    .addHelpText('after', EXAMPLE)
    .action(async (options: ConfigOptions) => {
      const { config } = loadRunnable(options, io);
      const findings = [...(await checkPorts(config)), ...checkAdvertised(config), ...(await checkAgents(config))];
      for (const { ok, what, detail } of findings) io.out(`${ok ? 'ok  ' : 'FAIL'}  ${what}: ${detail}\n`);
      if (findings.some(({ ok }) => !ok)) throw new ExitCode(1);
    });
}

async function checkAgents(config: BridgeConfig): Promise<Finding[]> {
  const findings: Finding[] = [];
  // One after the other: a preflight should not look like a burst of calls.
  for (const route of config.routes) findings.push(...(await checkRoute(route, config)));
  return findings;
}

async function checkRoute(route: Route, config: BridgeConfig): Promise<Finding[]> {
  const { connectTimeoutMs, startTimeoutMs } = config.pranthora;
  const { logger } = createLog({ ...config.log, level: 'silent', secrets: secretsOf(config) });
  const [{ AgentNetwork }, { probeAgent }] = await Promise.all([
    import('../pranthora/network.js'),
    import('../pranthora/probe.js'),
  ]);
  const network = new AgentNetwork(networkSettings(config));
  const findings: Finding[] = [];
  for (const target of route.targets) {
    const { mode, url: baseUrl, apiKey, encoding } = route;
    const address = { mode, baseUrl, target, apiKey, encoding, callSid: 'doctor' };
    const result = await probeAgent({
      ...address,
      network,
      connectTimeoutMs,
      startTimeoutMs,
      clock: systemClock,
      logger,
    });
    const id = target.agentId ?? target.workflowId;
    findings.push({
      what: `route ${route.name}, ${target.agentId === undefined ? 'workflow' : 'agent'} ${id}`,
      ...result,
    });
  }
  return findings;
}
