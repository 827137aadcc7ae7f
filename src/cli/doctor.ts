import type { Command } from 'commander';
import { systemClock } from '../clock.js';
import { networkSettings } from '../compose.js';
import type { BridgeConfig, Route } from '../config/types.js';
import { secretsOf } from '../config/redact.js';
import { createLog } from '../ops/log.js';
import { checkDescriptors, checkPorts, type Finding } from '../ops/preflight.js';
import { checkTold } from '../ops/told-addresses.js';
import { agentTargetOf, describeTarget } from '../pranthora/agent-target.js';
import { addConfigOptions, loadRunnable, type ConfigOptions } from './config-options.js';
import { runningVersion } from './doctor/running-bridge.js';
import { ExitCode, type Io } from './io.js';

const EXAMPLE = `
Binds the configured ports for a moment, unless the bridge is running already, asks every registrar whether it takes
the password, and opens every route's agent as a call would.

Exits 0 unless something is marked FAIL. A note is right in some places and wrong in others: look at it.

Example:
  PRANTHORA_API_KEY=... pranthora-sip-bridge doctor --config config/minimal.yaml
`;

interface DoctorOptions extends ConfigOptions {
  readonly agents?: boolean;
  readonly json?: boolean;
}

export function registerDoctor(program: Command, io: Io): void {
  addConfigOptions(program.command('doctor'))
    .description('preflight: ports, advertised addresses, registrars, and every agent opened for real')
    .option('--agents', 'the agents alone')
    .option('--json', 'one JSON object: {ok, findings: [{what, level, detail}]}')
    .addHelpText('after', EXAMPLE)
    .action(async (options: DoctorOptions) => {
      const { config } = loadRunnable(options, io);
      const findings = [...(options.agents ? [] : await checkHere(config)), ...(await checkAgents(config))];
      const ok = findings.every(({ level }) => level !== 'FAIL');
      if (options.json) io.out(`${JSON.stringify({ ok, findings })}\n`);
      else for (const { level, what, detail } of findings) io.out(`${level.padEnd(4)}  ${what}: ${detail}\n`);
      if (!ok) throw new ExitCode(1);
    });
}

async function checkHere(config: BridgeConfig): Promise<Finding[]> {
  const version = await runningVersion(config.http);
  const ports: Finding[] =
    version === undefined
      ? await checkPorts(config)
      : [{ what: 'ports', level: 'note', detail: `not tried: a bridge (${version}) is running here` }];
  return [...ports, checkDescriptors(config), ...(await checkTold(config)), ...(await registrars(config))];
}

async function registrars(config: BridgeConfig): Promise<Finding[]> {
  if (config.sip.registrations.length === 0) return [];
  if (config.sip.engine === 'drachtio') {
    return [{ what: 'registrations', level: 'note', detail: 'not tried: drachtio-server sends them' }];
  }
  const { logger } = createLog({ ...config.log, level: 'silent', secrets: secretsOf(config) });
  const { checkRegistrars } = await import('./doctor/registrars.js');
  return checkRegistrars(config, logger);
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
    const { mode, url: baseUrl, apiKeys } = target;
    // What is not known of a caller that does not exist: their own law.
    const encoding = target.encoding === 'auto' ? 'mulaw' : target.encoding;
    const address = { mode, baseUrl, target: agentTargetOf(target), apiKeys, encoding, callSid: 'doctor' };
    const result = await probeAgent({
      ...address,
      network,
      connectTimeoutMs,
      startTimeoutMs,
      settleMs: config.call.settleMs,
      clock: systemClock,
      logger,
    });
    findings.push({
      what: `route ${route.name}, ${describeTarget(target)}`,
      level: result.ok ? 'ok' : 'FAIL',
      detail: result.detail,
    });
  }
  return findings;
}
