import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { CallRecord } from '../../src/events/call-record.js';
import { TELEPHONE_RATE_HZ } from '../../src/phone/heard-audio.js';
import type { Scenario, SimulatorSession } from '../../src/simulator/simulator-session.js';
import { writeWav } from '../../src/phone/wav.js';
import { BridgeUnderTest } from '../support/bridge-under-test.js';
import { EngineRig } from '../support/engine-rig.js';
import { missingFor, titleOf, type Engines } from '../support/engines.js';
import { FOREIGN_PHONE } from '../support/real-time.js';
import {
  hasBaresip,
  isInstalled,
  runBaresip,
  runSipp,
  withTemporaryDirectory,
  type SippResult,
} from '../support/tools.js';

const ENGINES: readonly Engines[] = [
  { sip: 'embedded', media: 'embedded' },
  { sip: 'drachtio', media: 'embedded' },
];
const PROTOCOLS = ['udp', 'tcp'] as const;

const closing =
  (code: number, reason: string) =>
  (session: SimulatorSession): void => {
    session.start();
    session.after(200, () => session.close(code, reason));
  };

const AGENTS: Readonly<Record<string, Scenario>> = {
  listener: {},
  'hangs-up': { onOpen: closing(1000, 'Call terminated by agent') },
  vanishes: { onOpen: closing(4003, 'Agent not found') },
};

const SURVEY = 'sip:survey@pbx.example;user=phone';
const DESK = 'sip:desk@pbx.example';
const OPERATOR = 'tel:+15550199';

/** Numbers beside the agents' own. */
const ROUTES = [
  { did: 'survey', agentId: 'hangs-up', onAgentEnd: { refer: SURVEY } },
  { did: 'desk', agentId: 'vanishes', fallback: { redirect: DESK } },
  { did: 'keys', agentId: 'listener', dtmf: { '0': { refer: OPERATOR }, '#': 'hangup' } },
];

interface Case {
  readonly scenario: string;
  readonly number: string;
  /** Where each REFER points. */
  readonly refers: readonly string[];
  readonly record: Partial<CallRecord>;
}

const transferred = (endedBy: CallRecord['endedBy']): Partial<CallRecord> => ({
  reason: 'transferred',
  outcome: 'completed',
  endedBy,
});
const failed = (outcome: CallRecord['outcome'], why: string): Partial<CallRecord> => ({
  reason: 'transfer_failed',
  endedBy: 'bridge',
  outcome,
  detail: expect.stringContaining(why) as string,
});

const CASES: readonly Case[] = [
  { scenario: 'refer-accepted', number: 'survey', refers: [SURVEY], record: transferred('agent') },
  { scenario: 'refer-accepted', number: 'desk', refers: [DESK], record: transferred('bridge') },
  {
    scenario: 'refer-refused',
    number: 'survey',
    refers: [SURVEY],
    record: failed('client_error', 'the REFER was answered with 603 Decline'),
  },
  {
    scenario: 'refer-refused',
    number: 'desk',
    refers: [DESK],
    record: failed('upstream_error', 'the REFER was answered with 603 Decline'),
  },
  {
    scenario: 'refer-target-busy',
    number: 'survey',
    refers: [SURVEY],
    record: failed('client_error', 'the transfer was answered with 486 Busy Here'),
  },
  {
    scenario: 'refer-silent',
    number: 'survey',
    refers: [SURVEY],
    record: failed('client_error', 'the transfer was not completed within 1500 ms'),
  },
  { scenario: 'refer-no-subscription', number: 'survey', refers: [SURVEY], record: transferred('agent') },
  { scenario: 'refer-hangs-up', number: 'survey', refers: [SURVEY], record: transferred('agent') },
  { scenario: 'refer-by-digit', number: 'keys', refers: [OPERATOR, OPERATOR], record: transferred('caller') },
  {
    scenario: 'hang-up-by-digit',
    number: 'keys',
    refers: [],
    record: { reason: 'dtmf_hangup', outcome: 'completed', endedBy: 'caller' },
  },
];

describe.each(ENGINES)('transfers and digits, $sip', (engines) => {
  describe.skipIf(missingFor(engines).length > 0 || !isInstalled('sipp'))(titleOf(engines), FOREIGN_PHONE, () => {
    let rig: EngineRig;

    beforeAll(async () => {
      const listen = ['udp://127.0.0.1:0', 'tcp://127.0.0.1:0'];
      const config = { call: { transferTimeoutMs: 1_500 }, sip: { listen } };
      rig = await EngineRig.start({ engines, agents: AGENTS, routes: ROUTES, config });
    }, 600_000);

    afterAll(async () => {
      await rig.nothingHeld();
      await rig.stop();
    });

    function port(protocol: 'udp' | 'tcp'): number {
      const own = rig.bridge.sip.find((uri) => uri.startsWith(protocol))?.replace(/^.*:/, '');
      return own === undefined ? rig.sip.port : Number(own);
    }

    /** The REFERs a phone has got, each once. */
    function refersIn({ trace }: SippResult): string[] {
      const refers = trace.filter(({ message }) => message.startLine.startsWith('REFER '));
      const distinct = new Map(refers.map(({ message }) => [message.header('CSeq'), message]));
      return [...distinct.values()].map((message) => message.header('Refer-To'));
    }

    it.each(
      PROTOCOLS.flatMap((protocol) =>
        CASES.map((each) => ({ ...each, protocol, name: `${each.scenario}-${each.number}-${protocol}` })),
      ),
    )('$scenario from $number over $protocol', async ({ scenario, number, protocol, name, refers, record }) => {
      const result = await runSipp({ scenario, protocol, number, name, port: port(protocol) });
      expect(result.exitCode, result.report).toBe(0);
      expect(refersIn(result)).toEqual(refers.map((uri) => `<${uri}>`));
      expect(await rig.record(`${name}-1`)).toMatchObject({ ...record, sipStatus: 200 });
    });
  });
});

describe.skipIf(!hasBaresip())('baresip (skipped when it is not installed with its WAV modules)', FOREIGN_PHONE, () =>
  it('follows a REFER: it calls who it is sent to, tells us, and is let go of', async () => {
    const port = await freePort();
    const under = await BridgeUnderTest.start({
      config: { sip: { listen: [`udp://127.0.0.1:${port}`] } },
      routes: [
        { did: 'survey', agentId: 'hangs-up', onAgentEnd: { refer: `sip:listener@127.0.0.1:${port}` } },
        { did: 'listener', agentId: 'listener' },
      ],
      simulator: { scenarioFor: (agentId) => AGENTS[agentId] },
    });
    const { output } = await withTemporaryDirectory((directory) => {
      const play = join(directory, 'silence.wav');
      writeWav(play, [new Int16Array(3 * TELEPHONE_RATE_HZ)], TELEPHONE_RATE_HZ);
      return runBaresip({ uri: `sip:survey@127.0.0.1:${port}`, codec: 'PCMU', play, directory, quitAfterSec: 3 });
    });
    const records = under.log.events('call.ended') as unknown as CallRecord[];
    expect(records, output).toMatchObject([
      { to: 'survey', ...transferred('agent') },
      { to: 'listener', reason: 'caller_hangup', sipStatus: 200 },
    ]);
    await under.stop();
  }),
);

/** One that nobody listens at, to be known before the bridge does. */
async function freePort(): Promise<number> {
  const socket = createSocket('udp4');
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  const { port } = socket.address();
  socket.close();
  await once(socket, 'close');
  return port;
}
