import type { Reporter, TestModule, TestSpecification } from 'vitest/node';
import { hasTshark } from './dissect.js';
import { missingFor } from './engines.js';
import { hasBaresip, isInstalled } from './tools.js';

/** What tests are skipped without: the name, whether it is there, and how it is had. */
const OTHERS: readonly (readonly [string, boolean, string])[] = [
  ['sipp', isInstalled('sipp'), 'not installed'],
  ['baresip', hasBaresip(), 'not installed with its WAV modules'],
  ['kamailio', isInstalled('kamailio'), 'not installed'],
  ['tshark', hasTshark(), 'not installed'],
  ['drachtio-server', missingFor({ sip: 'drachtio', media: 'embedded' }).length === 0, 'DRACHTIO_HOST, DRACHTIO_SIP'],
  ['FreeSWITCH', missingFor({ sip: 'embedded', media: 'freeswitch' }).length === 0, 'FREESWITCH_HOST'],
];

/** Says before the tests in real time how long they take and what is skipped, and after all tests why some were. */
export class SkipReporter implements Reporter {
  onTestRunStart(specifications: readonly TestSpecification[]): void {
    if (!specifications.some(({ project }) => project.name === 'wire')) return;
    const missing = OTHERS.filter(([, isThere]) => !isThere).map(([name, , how]) => `${name} (${how})`);
    say('All of it takes about 12 minutes on two quiet cores, most of them real time: test/integration, file by file.');
    say(missing.length > 0 ? `Tests are skipped that need ${missing.join(', ')}.` : 'All phones and servers are here.');
  }

  onTestRunEnd(modules: readonly TestModule[]): void {
    for (const test of modules.flatMap(({ children }) => [...children.allTests('skipped')])) {
      const result = test.result();
      if (result.state === 'skipped' && result.note !== undefined) say(`Skipped: ${test.fullName}: ${result.note}`);
    }
  }
}

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}
