import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { Scenario } from '../../src/simulator/simulator-session.js';
import { AGENT_RATE_HZ } from '../../src/simulator/speech.js';
import { readWav, writeWav } from '../../src/simulator/wav.js';
import { EngineRig } from '../support/engine-rig.js';
import { askFreeSwitch, COMBINATIONS, missingFor, titleOf } from '../support/engines.js';
import { tone } from '../support/signal.js';
import { toneQuality } from '../support/tone-heard.js';
import {
  baresipRateHz,
  hasBaresip,
  isInstalled,
  runBaresip,
  runSipp,
  withTemporaryDirectory,
} from '../support/tools.js';

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

const CODECS = ['G722', 'OPUS'] as const;

const callerSays = (rateHz: number): Int16Array =>
  tone({ rateHz, frequencyHz: CALLER_HZ, levelDbm0: LEVEL_DBM0, durationMs: TALK_MS });

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
    600_000,
  );
});
