import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { startService, type Running } from './services.js';
import { startNameServer } from './name-server.js';
import { readTestbed, type Service } from './testbed.js';

/**
 * drachtio-srf's own integration tests, unmodified, against the embedded agent: `npm run srf-tests -- CHECKOUT [TEST…]`.
 *
 * Their docker-compose file is obeyed without docker: each container is an address on the loopback interface of a network
 * namespace of its own (so that nothing else on the machine is in the way), each sipp the one of this machine, and
 * `docker` and `docker-compose` are two scripts on the PATH. With DRACHTIO_START, a command that becomes a
 * drachtio-server, they run against that one instead: to see what a difference is worth.
 */
const APPLICABLE = ['uas', 'reinvite-tests', 'uac', 'b2b', 'refer'];

/** Why the others are left out. A test nobody has decided about is a failure. */
const NOT_APPLICABLE: Readonly<Record<string, string>> = {
  proxy: 'needs the wire command "proxy": the agent is a user agent, the bridge proxies nothing',
  subscribe: 'not in the list of drachtio-srf itself, and fails with drachtio-server as well',
  utils: 'drachtio-srf by itself: no server takes part',
  parser: 'drachtio-srf by itself: no server takes part',
  docker_start: 'part of the docker harness',
  docker_stop: 'part of the docker harness',
};

const TEST_TIMEOUT_MS = 240_000;
/** After a failure most of the tests wait for ever. */
const FAILED_TIMEOUT_MS = 3_000;
/** Of the test bed's network: the name server's address. */
const GATEWAY = '172.29.0.1';
const INSIDE = '--inside';
const SELF = fileURLToPath(import.meta.url);

interface Outcome {
  readonly test: string;
  readonly passed: number;
  readonly failed: number;
  /** Assertions its file has. */
  readonly expected: number;
  readonly exitCode: number | undefined;
}

const print = (text: string): void => {
  process.stdout.write(text);
};

const [, , ...words] = process.argv;
process.exitCode = words[0] === INSIDE ? await runTests(words.slice(1)) : await enterNamespace(words);

/** This program again in a network, mount and process namespace of its own, where it may do as it likes. */
async function enterNamespace(args: readonly string[]): Promise<number> {
  const [checkout] = args;
  if (checkout === undefined || !existsSync(join(checkout, 'test/docker-compose-testbed.yaml'))) {
    process.stderr.write('Usage: npm run srf-tests -- CHECKOUT_OF_DRACHTIO_SRF [TEST…]\n');
    return 2;
  }
  const namespaces = ['--net', '--mount', '--pid', '--fork', '--kill-child', '--mount-proc'];
  const asUser = process.getuid?.() === 0 ? [] : ['--user', '--map-root-user'];
  const again = [process.execPath, SELF, INSIDE, ...args];
  const child = spawn('unshare', [...asUser, ...namespaces, ...again], { stdio: 'inherit' });
  const [code] = (await once(child, 'exit')) as [number | null];
  return code ?? 1;
}

async function runTests([checkout = '', ...chosen]: readonly string[]): Promise<number> {
  const root = resolve(checkout);
  const undecided = undecidedTests(root);
  const directory = mkdtempSync(join(tmpdir(), 'srf-tests-'));
  const services = readTestbed(join(root, 'test/docker-compose-testbed.yaml'));
  let closeNameServer: (() => void) | undefined;
  try {
    await prepareNetwork(services, directory);
    closeNameServer = await startNameServer(GATEWAY, new Map(services.map(({ name, address }) => [name, address])));
    await mountScenarios(join(root, 'test/scenarios'), join(directory, 'scenarios'));
    installDocker(directory);
    const outcomes: Outcome[] = [];
    for (const test of chosen.length > 0 ? chosen : APPLICABLE) {
      outcomes.push(await withServices(services, (running) => runTest(root, test, directory, running)));
    }
    report(outcomes, undecided, chosen.length === 0);
    return undecided.length === 0 && outcomes.every(isGood) ? 0 : 1;
  } finally {
    closeNameServer?.();
    rmSync(directory, { recursive: true });
  }
}

/** Tests that the checkout's own list has and neither of ours. */
function undecidedTests(root: string): string[] {
  const index = readFileSync(join(root, 'test/index.js'), 'utf8');
  const names = [...index.matchAll(/require\('\.\/([^']+)'\)/g)].map(([, name = '']) => name);
  return names.filter((name) => !APPLICABLE.includes(name) && !(name in NOT_APPLICABLE));
}

/** All addresses of the test bed on the loopback interface, and its names for them. */
async function prepareNetwork(services: readonly Service[], directory: string): Promise<void> {
  const hosts = join(directory, 'hosts');
  const lines = services.map(({ address, name }) => `${address} ${name}\n`);
  const resolver = join(directory, 'resolv.conf');
  writeFileSync(hosts, ['127.0.0.1 localhost\n', ...lines].join(''));
  writeFileSync(resolver, `nameserver ${GATEWAY}\n`);
  await execute('ip', ['link', 'set', 'lo', 'up']);
  await execute('ip', ['addr', 'add', `${GATEWAY}/16`, 'dev', 'lo']);
  await execute('mount', ['--bind', hosts, '/etc/hosts']);
  await execute('mount', ['--bind', resolver, '/etc/resolv.conf']);
}

/**
 * Some of the scenarios have a "<" in an attribute, which is no XML: the sipp of the container forgives it, older ones do
 * not, nor do they know "&lt;". Copies that have a dot instead, which in a pattern matches it, take their place, for this
 * program alone.
 */
async function mountScenarios(scenarios: string, copies: string): Promise<void> {
  mkdirSync(copies);
  for (const file of readdirSync(scenarios).filter((name) => name.endsWith('.xml'))) {
    const text = readFileSync(join(scenarios, file), 'latin1');
    const sound = text.replace(/(?<=regexp=")[^"]*/g, (pattern) => pattern.replaceAll('<', '.'));
    writeFileSync(join(copies, file), sound, 'latin1');
  }
  await execute('mount', ['--bind', copies, scenarios]);
}

/** The two commands of the harness. What is to be up is up before a test begins. */
function installDocker(directory: string): void {
  const bin = join(directory, 'bin');
  mkdirSync(bin);
  const script = (name: string, line: string): void => {
    writeFileSync(join(bin, name), `#!/bin/sh\n${line}\n`);
    chmodSync(join(bin, name), 0o755);
  };
  script('docker', `exec '${process.execPath}' '${fileURLToPath(new URL('docker.js', import.meta.url))}' "$@"`);
  script('docker-compose', 'exit 0');
}

/** Every test has the services new: what one leaves behind is none of the next one's business. */
async function withServices<T>(
  services: readonly Service[],
  use: (running: readonly Running[]) => Promise<T>,
): Promise<T> {
  const running: Running[] = [];
  try {
    for (const service of services) running.push(await startService(service, process.env['DRACHTIO_START']));
    return await use(running);
  } finally {
    await Promise.all(running.map((each) => each.stop()));
  }
}

async function runTest(root: string, test: string, directory: string, running: readonly Running[]): Promise<Outcome> {
  print(`\n# ${test}.js\n`);
  const ports = running.filter((each) => each.wirePort !== undefined);
  const config = Object.fromEntries(ports.map(({ service, wirePort }) => [service.name, { port: wirePort }]));
  const file = join(root, 'test', `${test}.js`);
  const child = spawn(process.execPath, [file], {
    cwd: root,
    env: {
      ...process.env,
      NODE_ENV: 'test',
      NODE_CONFIG: JSON.stringify(config),
      PATH: `${join(directory, 'bin')}:${process.env['PATH'] ?? ''}`,
    },
    stdio: ['ignore', 'pipe', 'inherit'],
    timeout: TEST_TIMEOUT_MS,
    killSignal: 'SIGKILL',
  });
  let output = '';
  child.stdout.on('data', (chunk: Buffer) => {
    output += chunk.toString();
    print(chunk.toString());
    if (/^not ok/m.test(output)) setTimeout(() => child.kill('SIGKILL'), FAILED_TIMEOUT_MS).unref();
  });
  const [code] = (await once(child, 'close')) as [number | null];
  const count = (line: RegExp): number => [...output.matchAll(line)].length;
  return {
    test,
    passed: count(/^ok \d/gm),
    failed: count(/^not ok \d/gm),
    expected: assertionsOf(file),
    exitCode: code ?? undefined,
  };
}

/** Some failures make the tests go on further below, as if nothing had happened: what was left out tells. */
function assertionsOf(file: string): number {
  return [...readFileSync(file, 'utf8').matchAll(/\bt\.(?:pass|ok)\(/g)].length;
}

function isGood({ passed, failed, expected, exitCode }: Outcome): boolean {
  return exitCode === 0 && failed === 0 && passed >= expected;
}

function report(outcomes: readonly Outcome[], undecided: readonly string[], isWhole: boolean): void {
  print('\n');
  for (const outcome of outcomes) {
    const { test, passed, failed, expected, exitCode } = outcome;
    print(`${isGood(outcome) ? 'ok    ' : 'FAILED'} ${test}: ${passed} of ${expected} passed, ${failed} failed`);
    print(exitCode === 0 ? '\n' : `, ended with ${exitCode ?? 'a signal'}\n`);
  }
  if (isWhole) for (const [test, why] of Object.entries(NOT_APPLICABLE)) print(`-      ${test}: ${why}\n`);
  for (const test of undecided) print(`FAILED ${test}: neither run nor left out on purpose\n`);
  const total = outcomes.reduce((sum, { passed }) => sum + passed, 0);
  print(`${total} assertions passed\n`);
}

async function execute(command: string, args: readonly string[]): Promise<void> {
  const child = spawn(command, args, { stdio: 'inherit' });
  const [code] = (await once(child, 'exit')) as [number | null];
  if (code !== 0) throw new Error(`${command} ${args.join(' ')} failed`);
}
