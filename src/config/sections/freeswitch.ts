import { showValue } from '../faults.js';
import type { FaultList } from '../faults.js';
import { host, remotePort, secret } from '../formats.js';
import { Section } from '../section.js';
import type { ServerAddress } from '../types.js';

const LIST = 'media.freeswitch';
const DEFAULTS: ServerAddress = { host: '127.0.0.1', port: 8021, secret: 'ClueCon' };
const VARIABLES = { host: 'FREESWITCH_HOST', port: 'FREESWITCH_PORT', secret: 'FREESWITCH_SECRET' } as const;

type Environment = Readonly<Record<string, string | undefined>>;

/** Whether the environment describes a FreeSWITCH server. */
export function environmentNamesFreeswitch(environment: Environment): boolean {
  return Object.values(VARIABLES).some((variable) => valueOf(environment, variable) !== undefined);
}

/**
 * The servers of `media.freeswitch`. The environment's variables describe a single one: they complete or overrule
 * the one the file lists, and are a fault beside more.
 */
export function readFreeswitch(list: readonly unknown[], env: Environment, faults: FaultList): ServerAddress[] {
  const servers = list.map((entry, index) => readServer(entry, `${LIST}[${index}]`, faults));
  if (!environmentNamesFreeswitch(env)) return servers;
  if (servers.length > 1) {
    const message = `${Object.values(VARIABLES).join(', ')} describe a single server, the file lists several`;
    faults.add({ path: LIST, message, value: showValue(servers.length), allowed: 'one in the file, or no variables' });
  }
  return [overrule(servers[0] ?? DEFAULTS, env, faults)];
}

function readServer(entry: unknown, path: string, faults: FaultList): ServerAddress {
  const section = Section.of(path, entry, faults);
  if (!section) return DEFAULTS;
  if (!section.has('host')) section.fault('host', 'required', { allowed: host.allowed });
  const server = {
    host: section.read('host', host) ?? DEFAULTS.host,
    port: section.read('port', remotePort) ?? DEFAULTS.port,
    secret: section.read('secret', secret, { secret: true }) ?? DEFAULTS.secret,
  };
  section.end();
  return server;
}

function overrule(server: ServerAddress, environment: Environment, faults: FaultList): ServerAddress {
  const given = Object.fromEntries(
    Object.values(VARIABLES).flatMap((variable) => {
      const value = valueOf(environment, variable);
      return value === undefined ? [] : [[variable, value]];
    }),
  );
  const section = Section.of('environment', given, faults);
  return {
    host: section?.read(VARIABLES.host, host) ?? server.host,
    port: section?.read(VARIABLES.port, remotePort) ?? server.port,
    secret: section?.read(VARIABLES.secret, secret, { secret: true }) ?? server.secret,
  };
}

function valueOf(environment: Environment, variable: string): string | undefined {
  return environment[variable]?.trim() === '' ? undefined : environment[variable];
}
