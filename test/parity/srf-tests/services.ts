import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { systemClock } from '../../../src/clock.js';
import { SipAgent } from '../../../src/sip-agent/agent.js';
import { startDrachtioProcess } from '../../support/drachtio-process.js';
import type { Service } from './testbed.js';

/** Something of the test bed that runs. */
export interface Running {
  readonly service: Service;
  /** Where its wire protocol is spoken, when it is a SIP server. */
  readonly wirePort: number | undefined;
  stop(): Promise<unknown>;
}

const SECRET = 'cymru';

/** Starts a service: sipp as it is, drachtio as the embedded agent, or as the server that `drachtioStart` starts. */
export async function startService(service: Service, drachtioStart: string | undefined): Promise<Running> {
  if (service.program === 'sipp') return startProgram(service, 'sipp', [...service.args, '-i', service.address]);
  return drachtioStart === undefined ? startAgent(service) : startServer(service, drachtioStart);
}

async function startAgent(service: Service): Promise<Running> {
  const agent = new SipAgent({
    listen: [`udp://${service.address}:5060`],
    secret: SECRET,
    clock: systemClock,
    logger: { debug: () => undefined, info: () => undefined, warn: complain },
  });
  const { wire } = await agent.start();
  return { service, wirePort: wire.port, stop: () => agent.stop() };
}

function complain(fields: Readonly<Record<string, unknown>>): void {
  process.stderr.write(`${JSON.stringify(fields)}\n`);
}

async function startServer(service: Service, command: string): Promise<Running> {
  const wirePort = service.wirePort ?? 9022;
  const contact = `sip:${service.address};transport=udp`;
  const server = await startDrachtioProcess(command, { port: wirePort, secret: SECRET, contact });
  return { service, wirePort, stop: () => server.stop() };
}

function startProgram(service: Service, command: string, args: readonly string[]): Running {
  const child: ChildProcess = spawn(command, args, { stdio: 'ignore' });
  const ended = once(child, 'exit');
  // Which it does before its time when it cannot read its scenario.
  void ended.then(() => {
    if (!child.killed) process.stderr.write(`${service.name} has ended by itself\n`);
  });
  return {
    service,
    wirePort: undefined,
    stop: () => {
      child.kill('SIGKILL');
      return ended;
    },
  };
}
