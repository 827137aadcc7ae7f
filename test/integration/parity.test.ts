import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Scenario } from '../../src/simulator/simulator-session.js';
import { EngineRig } from '../support/engine-rig.js';
import { missingFor, titleOf, type Engines } from '../support/engines.js';
import { conversation, documentedParity, PARITY_SCENARIOS } from '../support/parity.js';
import { FOREIGN_PHONE } from '../support/real-time.js';
import { isInstalled, runSipp } from '../support/tools.js';

/** Numbers are dialled by name: each is the agent that answers. */
const AGENTS: Readonly<Record<string, Scenario>> = {
  listener: {},
  slow: {
    onOpen: (session) => {
      session.after(700, () => session.start());
    },
  },
  'never-starts': { onOpen: () => undefined },
  'hangs-up': {
    onOpen: (session) => {
      session.start();
      session.after(300, () => session.close(1000, 'Call terminated by agent'));
    },
  },
};

const ENGINES: readonly Engines[] = [
  { sip: 'embedded', media: 'embedded' },
  { sip: 'drachtio', media: 'embedded' },
];

const hasDrachtio = missingFor({ sip: 'drachtio', media: 'embedded' }).length === 0;
const documented = documentedParity();

it('every scenario has its row in docs/drachtio-differences.md, and every row its scenario', () =>
  expect([...documented.keys()].sort()).toEqual(PARITY_SCENARIOS.map(({ title }) => title).sort()));

describe.skipIf(!isInstalled('sipp')).each(ENGINES.map((engines) => [titleOf(engines), engines] as const))(
  'what sipp hears is what the documentation says: %s',
  (_, engines) => {
    describe.skipIf(missingFor(engines).length > 0)('the same sipp scenarios', FOREIGN_PHONE, () => {
      let rig: EngineRig;

      beforeAll(async () => {
        rig = await EngineRig.start({ engines, agents: AGENTS });
      }, 600_000);

      afterAll(async () => {
        await rig.nothingHeld();
        await rig.stop();
      });

      it.concurrent.each(PARITY_SCENARIOS.filter(({ slow = false }) => !slow || hasDrachtio))(
        '$title',
        async (scenario) => {
          const name = scenario.title.replace(/\W+/g, '-');
          const result = await runSipp({ name, ...scenario, protocol: 'udp', port: rig.sip.port });
          const { drachtio, embedded } = documented.get(scenario.title) ?? { drachtio: '', embedded: '' };
          const heard = conversation(result);
          const row = `| ${scenario.title} | ${heard} |`;
          expect(heard, `${row}\n${result.report}`).toBe(engines.sip === 'drachtio' ? drachtio : embedded);
        },
        60_000,
      );
    });
  },
);
