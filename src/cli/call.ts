import { InvalidArgumentError, Option } from 'commander';
import type { Command } from 'commander';
import { hostOf } from '../phone/local-address.js';
import type { CallCommandOptions, CallParts } from './call/call-parts.js';
import type { Io } from './io.js';

const CODECS = ['PCMU', 'PCMA', 'G722', 'L16'] as const;

const EXAMPLE = `
Exits 0 if the call was answered and something other than silence was heard.

Example:
  pranthora-sip-bridge call sip:+15550100@127.0.0.1:5060 --play question.wav --record call.wav --seconds 20
`;

export function registerCall(program: Command, io: Io): void {
  program
    .command('call')
    .description('place a test call, say something, and report what was heard')
    .argument(
      '<sip-uri>',
      'whom to call; with ;transport=tcp over TCP, as sips: or with ;transport=tls over TLS',
      parseSipUri,
    )
    .option('--play <wav>', 'what to say once answered: a WAV file of any rate')
    .option('--record <wav>', 'where to write the call: left what was said, right what was heard')
    .option('--seconds <n>', 'how long to stay after the answer', parseSeconds)
    .addOption(new Option('--codec <name>', 'what to offer').choices(CODECS).default('PCMU'))
    .option('--from <number>', 'calling number', 'test-caller')
    .option('--user <name>', 'who to be for a callee that asks (digest), with --password-file')
    .option('--password-file <file>', 'file with the password of --user')
    .option('--ca <file>', 'over TLS: PEM of whom to believe, instead of the well-known authorities')
    .addHelpText('after', EXAMPLE)
    .action(async (uri: string, options: CallCommandOptions, command: Command) => {
      const [{ placeCall }, { readParts }] = await Promise.all([
        import('./call/place-call.js'),
        import('./call/call-parts.js'),
      ]);
      await placeCall(
        uri,
        partsOf(() => readParts(uri, options), command),
        io,
      );
    });
}

function partsOf(read: () => CallParts, command: Command): CallParts {
  try {
    return read();
  } catch (error) {
    return command.error((error as Error).message);
  }
}

function parseSipUri(text: string): string {
  if (hostOf(text) === undefined) throw new InvalidArgumentError('Expected sip:user@host[:port].');
  return text;
}

function parseSeconds(text: string): number {
  const seconds = Number(text);
  if (!(seconds > 0 && seconds <= 3_600)) throw new InvalidArgumentError('Expected seconds, up to 3600.');
  return seconds;
}
