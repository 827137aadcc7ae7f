import { InvalidArgumentError } from 'commander';
import type { Command } from 'commander';
import { placesFor } from '../config/did-from.js';
import type { CallAction, Fallback, Route, Target } from '../config/types.js';
import { calledNumber } from '../control/routing/called-number.js';
import { selectRoute } from '../control/routing/dial-plan.js';
import type { RouteChoice } from '../control/routing/dial-plan.js';
import { describeTarget } from '../pranthora/agent-target.js';
import { addConfigOptions, loadForQuestions } from './config-options.js';
import type { ConfigOptions } from './config-options.js';
import { ExitCode } from './io.js';
import type { Io } from './io.js';

interface RouteOptions extends ConfigOptions {
  readonly from?: string;
  readonly to?: string;
  readonly peer?: string;
  readonly header?: ReadonlyMap<string, string>;
}

const EXAMPLE = `
Exits 1 if no route takes the call.

Example:
  pranthora-sip-bridge route +15550100 --from sip:alice@pbx.example.com --header 'X-Tenant: sales' -c bridge.yaml
`;

export function registerRoute(program: Command, io: Io): void {
  addConfigOptions(program.command('route'))
    .description('say which route a call would take, and why the others would not')
    .argument(
      '<number>',
      'the number that is called: bare, or a SIP or tel URI; the Request-URI, where sip.didFrom asks for others',
    )
    .option('--from <uri>', "the caller's URI")
    .option('--to <uri>', 'the URI of the To')
    .option('--peer <address>', 'where the call comes from, for the rules of sip.didFrom')
    .option('--header <name: value>', 'a header of the INVITE; may be repeated', collectHeader)
    .addHelpText('after', EXAMPLE)
    .action((number: string, options: RouteOptions) => {
      const { config } = loadForQuestions(options, io);
      const header = (name: string): string | undefined => options.header?.get(name.toLowerCase());
      const places = placesFor(config.sip.didFrom)(options.peer ?? '');
      const called = calledNumber({ requestUri: number, to: options.to ?? '', header }, places);
      const choice = selectRoute(config.routes, { number: called.number, fromUri: options.from ?? '', header });
      io.out(describe(called.place === 'requestUri' ? number : `${called.number} (${called.place})`, choice));
      if (!choice.route) throw new ExitCode(1);
    });
}

function collectHeader(text: string, before: ReadonlyMap<string, string> = new Map()): ReadonlyMap<string, string> {
  const colon = text.indexOf(':');
  if (colon <= 0) throw new InvalidArgumentError("Expected 'Name: value'.");
  return new Map([...before, [text.slice(0, colon).trim().toLowerCase(), text.slice(colon + 1).trim()]]);
}

function describe(number: string, { route, considered }: RouteChoice): string {
  const reasonOf = (one: Route): string => considered.find((entry) => entry.route === one)?.why ?? '';
  const verdict = route ? `takes the route ${route.name}: ${reasonOf(route)}` : 'takes no route: the call gets 404';
  const others = considered
    .filter((entry) => entry.route !== route)
    .map(({ route: { name }, why }) => `  ${name}: ${why}`);
  const lines = [
    `${number} ${verdict}`,
    ...(route ? [...describeTargets(route.targets), ...describeActions(route)] : []),
    ...(others.length > 0 ? ['Not taken:', ...others] : []),
  ];
  return `${lines.join('\n')}\n`;
}

/** What becomes of the call besides: a line for each thing that is not as it is by default. */
function describeActions({ fallback, onAgentEnd, dtmf = {} }: Route): string[] {
  const digits = Object.entries(dtmf).map(([digit, action]) => `${digit}: ${describeAction(action)}`);
  return [
    ...(fallback ? [`  without an agent: ${describeFallback(fallback)}`] : []),
    ...(onAgentEnd === 'hangup' ? [] : [`  when the agent ends the call: ${describeAction(onAgentEnd)}`]),
    ...(digits.length > 0 ? [`  digits: ${digits.join('; ')}`] : []),
  ];
}

function describeFallback(fallback: Fallback): string {
  if ('reject' in fallback) return `refused with ${fallback.reject}`;
  return `302 to ${fallback.redirect}, or a transfer there once answered`;
}

function describeAction(action: CallAction): string {
  return action === 'hangup' ? 'hang up' : `transfer to ${action.refer}`;
}

/** In the order they are tried, targets that are reached in the same way together. */
function describeTargets(targets: readonly Target[]): string[] {
  const lines: { way: string; ids: string[] }[] = [];
  for (const target of targets) {
    const way = `mode ${target.mode}; ${target.url}`;
    const last = lines.at(-1);
    if (last?.way === way) last.ids.push(describeTarget(target));
    else lines.push({ way, ids: [describeTarget(target)] });
  }
  return lines.map(({ way, ids }, index) => `  ${index > 0 ? 'then ' : ''}${ids.join(', then ')}; ${way}`);
}
