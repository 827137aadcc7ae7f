import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { systemClock } from '../../src/clock.js';
import type { CallRecord } from '../../src/events/call-record.js';
import type { Scenario } from '../../src/simulator/simulator-session.js';
import { AGENT_RATE_HZ } from '../../src/simulator/speech.js';
import { TestCaller } from '../../src/phone/test-caller.js';
import { readWav, writeWav } from '../../src/phone/wav.js';
import { BridgeUnderTest } from '../support/bridge-under-test.js';
import { EngineRig } from '../support/engine-rig.js';
import { askFreeSwitch, COMBINATIONS, missingFor, titleOf } from '../support/engines.js';
import { FOREIGN_PHONE, measuresRealTime } from '../support/real-time.js';
import { tone } from '../support/signal.js';
import { toneQuality, type ToneQuality } from '../support/tone-heard.js';
import {
  baresipRateHz,
  hasBaresip,
  isInstalled,
  runBaresip,
  runSipp,
  withTemporaryDirectory,
} from '../support/tools.js';

measuresRealTime();

const LEVEL_DBM0 = -10;
/** No telephone of 8 kHz can say or hear these. */
const CALLER_HZ = 6_000;
const AGENT_HZ = 5_000;
const TALK_MS = 3_000;

const AGENTS: Readonly<Record<string, Scenario>> = {
  wideband: {
    onOpen: (session) => {
      session.start();
      session.say(
        tone({ rateHz: AGENT_RATE_HZ, frequencyHz: AGENT_HZ, levelDbm0: LEVEL_DBM0, durationMs: TALK_MS + 2_000 }),
      );
    },
  },
};

const NARROWBAND_HZ = { caller: 1_020, agent: 620 } as const;

const NARROWBAND_AGENT: Scenario = {
  onOpen: (session) => {
    session.start();
    const { agent: frequencyHz } = NARROWBAND_HZ;
    session.say(tone({ rateHz: AGENT_RATE_HZ, frequencyHz, levelDbm0: LEVEL_DBM0, durationMs: TALK_MS + 2_000 }));
  },
};

const CODECS = ['G722', 'OPUS'] as const;

const callerSays = (rateHz: number): Int16Array =>
  tone({ rateHz, frequencyHz: CALLER_HZ, levelDbm0: LEVEL_DBM0, durationMs: TALK_MS });

/** What G.722 itself leaves of a tone in its higher band, which has two bits a sample; and L16, all of it. */
const SNR_DB = { G722: 17, L16: 70 } as const;

function expectHeard({ levelDbm0, snrDb }: ToneQuality, codec: keyof typeof SNR_DB): void {
  expect(Math.abs(levelDbm0 - LEVEL_DBM0)).toBeLessThan(1);
  expect(snrDb).toBeGreaterThan(SNR_DB[codec]);
}

describe.each([
  { codec: 'G722', media: {} },
  { codec: 'L16', media: { codecs: ['L16', 'G722', 'PCMU'] } },
] as const)('the bridge’s own RTP in $codec', ({ codec, media }) => {
  let under: BridgeUnderTest;
  let caller: TestCaller;

  beforeAll(async () => {
    under = await BridgeUnderTest.start({
      config: { media },
      routes: [
        { did: '100', agentId: 'wideband' },
        { did: '200', agentId: 'narrowband', mode: 'telephony' },
      ],
      simulator: { scenarioFor: (id) => (id === 'wideband' ? AGENTS['wideband'] : NARROWBAND_AGENT) },
    });
    caller = await TestCaller.start({ clock: systemClock, logger: under.log.logger });
  });

  afterAll(async () => {
    await caller.close();
    await under.stop();
    // A busy machine may hold up this process, in which all of it happens.
    expect(under.violations.filter(({ kind }) => kind !== 'gap' && kind !== 'burst')).toEqual([]);
  });

  const uri = (number: string): string => `sip:${number}@127.0.0.1:${under.port('udp')};transport=udp`;

  /** A call that says a tone to an agent, and what the two heard. */
  async function callTo(
    number: string,
    { agentId, frequencyHz }: { agentId: string; frequencyHz: number },
  ): Promise<{ heardByAgent: Int16Array; heardByCaller: Int16Array; record: CallRecord }> {
    const session = under.nextSession(agentId);
    const call = caller.call(uri(number), { codec, from: `${codec}-${number}` });
    const said = call.play(tone({ rateHz: 16_000, frequencyHz, levelDbm0: LEVEL_DBM0, durationMs: TALK_MS }));
    await call.answered;
    await said;
    await call.hangUp();
    const received = under.log.events('call.received').find((line) => line['from'] === `${codec}-${number}`);
    const record = await under.record(String(received?.['callId']));
    expect(call.report().heard).toMatchObject({ lost: 0, sequenceBreaks: 0, timestampBreaks: 0, restarts: 0 });
    return { heardByAgent: (await session).receivedAudio(), heardByCaller: call.heard.timeline(), record };
  }

  it('each side hears what no narrowband telephone carries', async () => {
    const { heardByAgent, heardByCaller, record } = await callTo('100', {
      agentId: 'wideband',
      frequencyHz: CALLER_HZ,
    });
    expect(record).toMatchObject({ codec, outcome: 'completed', uplink: { lost: 0, late: 0, malformed: 0 } });
    expectHeard(toneQuality(heardByAgent, AGENT_RATE_HZ, CALLER_HZ), codec);
    expectHeard(toneQuality(heardByCaller, 16_000, AGENT_HZ), codec);
  });

  it('an agent that speaks G.711 hears and is heard as well as that can', async () => {
    const { heardByAgent, heardByCaller, record } = await callTo('200', {
      agentId: 'narrowband',
      frequencyHz: NARROWBAND_HZ.caller,
    });
    expect(record).toMatchObject({ codec, outcome: 'completed', mode: 'telephony' });
    for (const { levelDbm0, snrDb } of [
      toneQuality(heardByAgent, AGENT_RATE_HZ, NARROWBAND_HZ.caller),
      toneQuality(heardByCaller, 16_000, NARROWBAND_HZ.agent),
    ]) {
      expect(Math.abs(levelDbm0 - LEVEL_DBM0)).toBeLessThan(0.3);
      expect(snrDb).toBeGreaterThan(35);
    }
  });

  it.skipIf(codec !== 'G722' || !hasBaresip('G722'))('baresip is heard and hears', FOREIGN_PHONE, async () => {
    await withTemporaryDirectory(async (directory) => {
      const play = join(directory, 'caller.wav');
      writeWav(play, [callerSays(16_000)], 16_000);
      const session = under.nextSession('wideband');
      const quitAfterSec = 1 + TALK_MS / 1_000;
      const result = await runBaresip({ uri: uri('100'), codec: 'G722', play, directory, quitAfterSec });
      expect(result.exitCode, result.output).toBe(0);
      const received = under.log.events('call.received').find((line) => line['from'] === 'baresip');
      const record = await under.record(String(received?.['callId']));
      expect(record).toMatchObject({ codec: 'G722', reason: 'caller_hangup', uplink: { lost: 0, malformed: 0 } });
      expectHeard(toneQuality((await session).receivedAudio(), AGENT_RATE_HZ, CALLER_HZ), 'G722');
      expectHeard(toneQuality(readWav(result.recording ?? '', AGENT_RATE_HZ), AGENT_RATE_HZ, AGENT_HZ), 'G722');
    });
  });
});

describe.each(
  COMBINATIONS.filter(({ media }) => media === 'freeswitch').map((engines) => [titleOf(engines), engines] as const),
)('%s', (_title, engines) => {
  describe.skipIf(missingFor(engines).length > 0)('wideband callers', () => {
    let rig: EngineRig;

    beforeAll(async () => {
      rig = await EngineRig.start({ engines, agents: AGENTS });
    }, 600_000);

    afterEach(async () => {
      await rig.nothingHeld();
    });

    afterAll(async () => {
      await rig.stop();
    });

    /** The one call since the last one. */
    async function lastCall(calls: number): Promise<void> {
      const received = rig.log.events('call.received');
      expect(received).toHaveLength(calls + 1);
      expect(await rig.record(String(received.at(-1)?.['callId']))).toMatchObject({
        outcome: 'completed',
        reason: 'caller_hangup',
        uplink: { lost: 0, malformed: 0 },
      });
    }

    function expectTone(recording: Int16Array, rateHz: number, frequencyHz: number): void {
      const { levelDbm0 } = toneQuality(recording, rateHz, frequencyHz);
      expect(Math.abs(levelDbm0 - LEVEL_DBM0)).toBeLessThan(1);
    }

    it.for(CODECS)('baresip in %s: each side hears what no narrowband telephone carries', async (codec, context) => {
      if (!hasBaresip(codec)) context.skip('there is no baresip that speaks it');
      const calls = rig.log.events('call.received').length;
      await withTemporaryDirectory(async (directory) => {
        const rateHz = baresipRateHz(codec);
        const play = join(directory, 'caller.wav');
        writeWav(play, [callerSays(rateHz)], rateHz);
        const uri = `${rig.uri('wideband')};transport=udp`;
        const result = await runBaresip({ uri, codec, play, directory, quitAfterSec: 1 + TALK_MS / 1_000 });
        expect(result.exitCode, result.output).toBe(0);
        expectTone(rig.session('wideband').receivedAudio(), AGENT_RATE_HZ, CALLER_HZ);
        expectTone(readWav(result.recording ?? '', AGENT_RATE_HZ), AGENT_RATE_HZ, AGENT_HZ);
      });
      await lastCall(calls);
    });

    it.for(CODECS)('FreeSWITCH as a caller in %s', async (codec, context) => {
      if ((await askFreeSwitch('module_exists mod_sndfile')) !== 'true') context.skip('this FreeSWITCH plays no files');
      const calls = rig.log.events('call.received').length;
      await withTemporaryDirectory(async (directory) => {
        const play = join(directory, 'caller.wav');
        writeWav(play, [callerSays(16_000)], 16_000);
        const variables = `{absolute_codec_string=${codec}}`;
        const answer = await askFreeSwitch(
          `originate ${variables}sofia/drachtio_mrf/${rig.uri('wideband').replace('sip:', '')} &playback(${play})`,
        );
        expect(answer).toMatch(/^\+OK/);
        await rig.nothingHeld();
      });
      expectTone(rig.session('wideband').receivedAudio(), AGENT_RATE_HZ, CALLER_HZ);
      await lastCall(calls);
    });
  });
});

describe.each(
  COMBINATIONS.filter(({ sip }) => sip === 'drachtio').map((engines) => [titleOf(engines), engines] as const),
)('%s', (_title, engines) => {
  const missing = [...missingFor(engines), ...(isInstalled('sipp') ? [] : ['sipp'])];

  it.skipIf(missing.length > 0).each(['udp', 'tcp'] as const)(
    'twenty calls of sipp’s over %s, ten a second',
    { ...FOREIGN_PHONE, timeout: 600_000 },
    async (protocol) => {
      const rig = await EngineRig.start({ engines, agents: AGENTS });
      const { exitCode, report } = await runSipp({
        scenario: 'uac',
        protocol,
        port: rig.sip.port,
        number: 'wideband',
        calls: 20,
        talkMs: 500,
      });
      expect(exitCode, report).toBe(0);
      for (let call = 1; call <= 20; call++) {
        const { outcome, reason, codec, downlink } = await rig.record(`uac-${protocol}-${call}`);
        expect({ outcome, reason, codec }).toEqual({ outcome: 'completed', reason: 'caller_hangup', codec: 'PCMU' });
        expect(downlink?.packets).toBeGreaterThan(5);
      }
      await rig.nothingHeld();
      await rig.stop();
    },
  );
});
