import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Scenario } from '../../src/simulator/simulator-session.js';
import { TELEPHONE_RATE_HZ } from '../../src/phone/heard-audio.js';
import { AGENT_RATE_HZ } from '../../src/simulator/speech.js';
import { readWav, writeWav } from '../../src/phone/wav.js';
import { BridgeUnderTest } from '../support/bridge-under-test.js';
import { FOREIGN_PHONE, measuresRealTime } from '../support/real-time.js';
import { fitSine, tone } from '../support/signal.js';
import { hasBaresip, runBaresip, withTemporaryDirectory } from '../support/tools.js';

measuresRealTime({ ofWholeFile: true });

/** Its own authority. */
const CA_FILE = fileURLToPath(new URL('../fixtures/tls/loopback.crt', import.meta.url));
const LEVEL_DBM0 = -10;
const CALLER_HZ = 1_020;
const AGENT_HZ = 620;
const TALK_MS = 3_000;

/** Speaks all the time, in another voice than the caller's. */
const TALKER: Scenario = {
  onOpen: (session) => {
    session.start();
    session.say(
      tone({ rateHz: AGENT_RATE_HZ, frequencyHz: AGENT_HZ, levelDbm0: LEVEL_DBM0, durationMs: TALK_MS + 2_000 }),
    );
  },
};

/** Level and SNR of two seconds out of the middle of a recording. */
function middle(samples: Int16Array, rateHz: number, frequencyHz: number): { levelDbm0: number; snrDb: number } {
  const from = (samples.length >> 1) - rateHz;
  return fitSine(samples.subarray(from, from + 2 * rateHz), rateHz, frequencyHz);
}

describe.skipIf(!hasBaresip())('baresip (skipped when it is not installed with its WAV modules)', FOREIGN_PHONE, () => {
  let under: BridgeUnderTest;

  beforeAll(async () => {
    under = await BridgeUnderTest.start({
      routes: [
        { did: '100', agentId: 'PCMU' },
        { did: '101', agentId: 'PCMA' },
        { did: '102', agentId: 'TLS' },
      ],
      config: {
        sip: {
          listen: ['udp', 'tcp', 'tls'].map((protocol) => `${protocol}://127.0.0.1:0`),
          tls: { certFile: CA_FILE, keyFile: CA_FILE.replace('.crt', '.key') },
        },
      },
      simulator: { scenarioFor: () => TALKER },
    });
  });

  afterAll(async () => {
    await under.stop();
    expect(under.violations.filter(({ kind }) => kind !== 'gap' && kind !== 'burst')).toEqual([]);
  });

  it.concurrent.each([
    { protocol: 'udp', codec: 'PCMU', number: '100' },
    { protocol: 'tcp', codec: 'PCMA', number: '101' },
    { protocol: 'tls', codec: 'PCMU', number: '102' },
  ] as const)('over $protocol in $codec: each hears the other', async ({ protocol, codec, number }) => {
    await withTemporaryDirectory(async (directory) => {
      const play = join(directory, 'caller.wav');
      const said = { rateHz: TELEPHONE_RATE_HZ, frequencyHz: CALLER_HZ, levelDbm0: LEVEL_DBM0, durationMs: TALK_MS };
      writeWav(play, [tone(said)], TELEPHONE_RATE_HZ);
      const uri = `sip:${number}@127.0.0.1:${under.port(protocol)};transport=${protocol}`;
      const session = under.nextSession(protocol === 'tls' ? 'TLS' : codec);

      const {
        exitCode,
        output,
        packets,
        recording = '',
      } = await runBaresip({
        uri,
        codec,
        play,
        directory,
        quitAfterSec: 1 + TALK_MS / 1_000,
        ...(protocol === 'tls' ? { caFile: CA_FILE } : {}),
      });

      expect(exitCode, output).toBe(0);
      const received = under.log.events('call.received').find((line) => line['to'] === number);
      const record = await under.record(String(received?.['callId']));
      expect(record).toMatchObject({
        codec,
        reason: 'caller_hangup',
        uplink: { lost: 0, late: 0 },
      });
      // Some packets may be under way when the BYE is.
      expect(Math.abs((record.uplink?.packets ?? 0) - packets.sent)).toBeLessThanOrEqual(5);
      expect(Math.abs((record.downlink?.packets ?? 0) - packets.received)).toBeLessThanOrEqual(5);
      const heardByAgent = middle((await session).receivedAudio(), AGENT_RATE_HZ, CALLER_HZ);
      const heardByCaller = middle(readWav(recording, TELEPHONE_RATE_HZ), TELEPHONE_RATE_HZ, AGENT_HZ);
      for (const heard of [heardByAgent, heardByCaller]) {
        expect(Math.abs(heard.levelDbm0 - LEVEL_DBM0)).toBeLessThan(0.3);
        expect(heard.snrDb).toBeGreaterThan(36);
      }
    });
  });

  it('feeds the agents without a gap or a burst', () => expect(under.violations).toEqual([]));
});
