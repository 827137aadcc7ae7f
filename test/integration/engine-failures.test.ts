import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { EventSocketAddress } from '../../src/media/freeswitch/event-socket-probe.js';
import { PranthoraSimulator } from '../../src/simulator/pranthora-simulator.js';
import type { Scenario } from '../../src/simulator/simulator-session.js';
import type { TestCall } from '../../src/phone/test-call.js';
import { TestCaller } from '../../src/phone/test-caller.js';
import { writeWav } from '../../src/phone/wav.js';
import { CollectedLog } from '../support/bridge-under-test.js';
import { BridgeProgram, type ChildBridge } from '../support/child-bridge.js';
import { EngineRig, eventually, rigDocument } from '../support/engine-rig.js';
import { channelsOn, serversToOurselves, type DrachtioAddress, type Engines } from '../support/engines.js';
import { missingToBreak, startDrachtio, startFreeSwitch, type OwnProcess } from '../support/real-servers.js';
import { measuresRealTime } from '../support/real-time.js';
import { tone } from '../support/signal.js';
import { PeerCall, respond } from '../support/sip-call.js';
import { UdpPeer } from '../support/sip-peer.js';
import { packetsWith, quantile, toneQuality } from '../support/tone-heard.js';
import { baresipRateHz, hasBaresip, runBaresip, withTemporaryDirectory } from '../support/tools.js';

measuresRealTime();

const CALLS = 20;
const AGENT_HZ = 600;
const CALLER_HZ = 1_000;
const WIDEBAND_HZ = 6_000;
const LEVEL_DBM0 = -10;
/** A server is back, or a call lost, within this. */
const RECOVERY_MS = 5_000;
const RTP_TIMEOUT_MS = 3_000;

const says = (frequencyHz: number, durationMs: number): Int16Array =>
  tone({ rateHz: 16_000, frequencyHz, levelDbm0: LEVEL_DBM0, durationMs });

const AGENTS: Readonly<Record<string, Scenario>> = {
  talker: {
    onOpen: (session) => {
      session.start();
      session.say(says(AGENT_HZ, 60_000));
    },
  },
};

const DRACHTIO: DrachtioAddress = { host: '127.0.0.1', port: 9032, secret: 'of-the-drill', sip: '127.0.0.1:5170' };
const FIRST = { host: '127.0.0.1', port: 8031, secret: 'of-the-drill', sipPort: 5191, rtpPort: 27_000 };
const SECOND = { host: '127.0.0.1', port: 8032, secret: 'of-the-drill', sipPort: 5192, rtpPort: 27_200 };

const addressOf = ({ host, port, secret }: EventSocketAddress): EventSocketAddress => ({ host, port, secret });

const why = missingToBreak.length > 0 ? ` (not run: ${missingToBreak.join(' and ')} not set)` : '';

describe.skipIf(missingToBreak.length > 0)(`amid ${CALLS} calls${why}`, { timeout: 120_000 }, () => {
  let letOthers: () => Promise<void>;
  let processes: OwnProcess[] = [];
  let rig: EngineRig;

  beforeAll(async () => {
    letOthers = await serversToOurselves();
  }, 600_000);

  afterEach(async () => {
    await Promise.all(processes.map((server) => server.kill()));
    processes = [];
  });

  afterAll(async () => {
    await letOthers();
  });

  async function running(server: Promise<OwnProcess>): Promise<OwnProcess> {
    const started = await server;
    processes.push(started);
    return started;
  }

  async function startRig(
    engines: Engines,
    freeSwitches: readonly EventSocketAddress[] = [FIRST],
    rtpTimeoutMs = 30_000,
  ): Promise<void> {
    rig = await EngineRig.start({
      engines,
      agents: AGENTS,
      drachtio: DRACHTIO,
      freeSwitches: freeSwitches.map(addressOf),
      config: { call: { rtpTimeoutMs } },
      isAlone: true,
    });
  }

  /** Calls in which both sides have been heard. */
  async function placeCalls(): Promise<TestCall[]> {
    const said = tone({ rateHz: 8_000, frequencyHz: CALLER_HZ, levelDbm0: LEVEL_DBM0, durationMs: 60_000 });
    const calls = Array.from({ length: CALLS }, (_, n) => rig.call('talker', { from: `caller-${n}` }));
    for (const call of calls) void call.play(said);
    await Promise.all(calls.map((call) => call.answered));
    await Promise.all(calls.map((call) => hearsAgent(call)));
    return calls;
  }

  /** Resolves when the agent has been heard for 200 ms since `fromMs`. */
  function hearsAgent(call: TestCall, fromMs = performance.now()): Promise<void> {
    return eventually(() => {
      expect(call.ending).toBeUndefined();
      expect(packetsWith(AGENT_HZ, recent(call, fromMs)).length).toBeGreaterThanOrEqual(10);
    });
  }

  function recent(call: TestCall, fromMs: number): TestCall['heard']['packets'] {
    const { packets } = call.heard;
    const first = packets.findLastIndex(({ arrivedMs }) => arrivedMs < fromMs) + 1;
    return packets.slice(first, first + 100);
  }

  /** Every agent has heard its caller in the last half second. */
  function expectAgentsHear(): void {
    const open = rig.simulator.sessions.filter(({ isClosed }) => !isClosed);
    expect(open).toHaveLength(CALLS);
    for (const session of open) {
      const { levelDbm0 } = toneQuality(session.receivedAudio().subarray(-8_000), 16_000, CALLER_HZ);
      expect(Math.abs(levelDbm0 - LEVEL_DBM0)).toBeLessThan(0.5);
    }
  }

  async function hangUp(calls: readonly TestCall[]): Promise<void> {
    await Promise.all(calls.map((call) => call.hangUp()));
  }

  /** How long it takes until calls are carried again as if nothing had been. */
  async function serveAgain(): Promise<number> {
    const fromMs = performance.now();
    const call = await eventually(async () => {
      const attempt = rig.call('talker', { from: 'afterwards' });
      await attempt.answered;
      return attempt;
    }, RECOVERY_MS);
    const servedMs = performance.now() - fromMs;
    await hearsAgent(call);
    await call.hangUp();
    expect(servedMs).toBeLessThan(RECOVERY_MS);
    return servedMs;
  }

  describe.each(['embedded', 'freeswitch'] as const)('kill -9 of drachtio-server, media.engine %s', (media) =>
    it('leaves the calls their audio until the callers are gone, and serves new ones when it is back', async () => {
      const drachtio = await running(startDrachtio(DRACHTIO));
      if (media === 'freeswitch') await running(startFreeSwitch(FIRST));
      await startRig({ sip: 'drachtio', media }, [FIRST], RTP_TIMEOUT_MS);
      const calls = await placeCalls();

      await drachtio.kill();
      await eventually(() => ready(rig.bridge.http, 503));
      await sleep(1_000);
      await Promise.all(calls.map((call) => hearsAgent(call)));
      expectAgentsHear();
      const goneAtMs = performance.now();
      const gone = hangUp(calls);
      await eventually(() => expect(rig.bridge.held().calls).toBe(0), RTP_TIMEOUT_MS + 6_000);
      report(`calls over ${Math.round(performance.now() - goneAtMs)} ms after the last packet of the callers`);
      for (const { from } of rig.log.events('call.ended')) {
        expect(await rig.recordFrom(String(from))).toMatchObject({ reason: 'rtp_timeout', endedBy: 'bridge' });
      }
      await gone;

      await running(startDrachtio(DRACHTIO));
      report(`served again ${Math.round(await serveAgain())} ms after drachtio-server was back`);
      await ready(rig.bridge.http, 200);
      await rig.nothingHeld();
      await rig.stop({ faultsExpected: true });
    }),
  );

  describe.each(['embedded', 'drachtio'] as const)('kill -9 of FreeSWITCH, sip.engine %s', (sip) =>
    it('moves G.711 callers to the bridge’s own RTP, and new calls to FreeSWITCH when it is back', async () => {
      if (sip === 'drachtio') await running(startDrachtio(DRACHTIO));
      const freeSwitch = await running(startFreeSwitch(FIRST));
      await startRig({ sip, media: 'freeswitch' });
      const calls = await placeCalls();

      const killedAtMs = performance.now();
      await freeSwitch.kill();
      await allMoved(calls, killedAtMs);
      await hangUp(calls);
      await running(startFreeSwitch(FIRST));
      report(`served again ${Math.round(await serveAgain())} ms after FreeSWITCH was back`);
      expect((await rig.recordFrom('afterwards')).mediaEngine).toBe('freeswitch');
      await rig.nothingHeld();
      await rig.stop({ faultsExpected: true });
    }),
  );

  it('SIGSTOP of FreeSWITCH: the same, and its channels are gone when it goes on', async () => {
    const freeSwitch = await running(startFreeSwitch(FIRST));
    await startRig({ sip: 'embedded', media: 'freeswitch' });
    const calls = await placeCalls();

    const stoppedAtMs = performance.now();
    freeSwitch.signal('SIGSTOP');
    await allMoved(calls, stoppedAtMs);
    await ready(rig.bridge.http, 503);
    freeSwitch.signal('SIGCONT');
    report(`served again ${Math.round(await serveAgain())} ms after FreeSWITCH went on`);
    await Promise.all(calls.map((call) => hearsAgent(call)));
    await hangUp(calls);
    await rig.nothingHeld();
    await rig.stop({ faultsExpected: true });
  });

  it('a wideband caller whose only FreeSWITCH is killed gets a BYE within a second', async () => {
    const freeSwitch = await running(startFreeSwitch(FIRST));
    await startRig({ sip: 'embedded', media: 'freeswitch' });
    const peer = await UdpPeer.open(rig.sip);
    const call = new PeerCall(peer, rig.sip.port);
    await call.establish({ uri: rig.uri('talker'), body: WIDEBAND_OFFER });

    const killedAtMs = performance.now();
    await freeSwitch.kill();
    const bye = await peer.next('BYE');
    respond(peer, bye, '200 OK');
    const byeMs = performance.now() - killedAtMs;
    report(`BYE ${Math.round(byeMs)} ms after FreeSWITCH was killed`);
    expect(byeMs).toBeLessThan(1_000);
    expect(bye.header('Reason')).toBe('Q.850;cause=41;text="media server lost"');
    expect(await rig.record(call.callId)).toMatchObject({ reason: 'media_unavailable', outcome: 'server_error' });
    await peer.close();
    await running(startFreeSwitch(FIRST));
    await rig.nothingHeld();
    await rig.stop({ faultsExpected: true });
  });

  it.skipIf(!hasBaresip('G722'))(
    'of two FreeSWITCH servers the second takes the wideband callers of the first',
    async () => {
      const servers = [await running(startFreeSwitch(FIRST)), await running(startFreeSwitch(SECOND))];
      await startRig({ sip: 'embedded', media: 'freeswitch' }, [FIRST, SECOND]);
      await withTemporaryDirectory(async (directory) => {
        const rateHz = baresipRateHz('G722');
        const play = `${directory}/caller.wav`;
        const said = { rateHz, frequencyHz: WIDEBAND_HZ, levelDbm0: LEVEL_DBM0, durationMs: 6_000 };
        writeWav(play, [tone(said)], rateHz);
        const uri = `${rig.uri('talker')};transport=udp`;
        const calling = runBaresip({ uri, codec: 'G722', play, directory, quitAfterSec: 8 });
        await rig.log.wait('call.answered');
        await sleep(1_000);
        const carriedBy = (await channelsOn(FIRST)) > 0 ? 0 : 1;
        const killedAtMs = performance.now();
        await servers[carriedBy]?.kill();
        await rig.log.wait('call.media_replaced');
        report(`moved ${Math.round(performance.now() - killedAtMs)} ms after its FreeSWITCH was killed`);
        const session = rig.session('talker');
        const from = session.receivedAudio().length + 8_000;
        await eventually(() => {
          const { levelDbm0 } = toneQuality(session.receivedAudio().subarray(from), 16_000, WIDEBAND_HZ);
          expect(Math.abs(levelDbm0 - LEVEL_DBM0)).toBeLessThan(1);
        });
        const { exitCode, output } = await calling;
        expect(exitCode, output).toBe(0);
        expect(rig.log.events('call.ended')[0]).toMatchObject({ reason: 'caller_hangup', codec: 'G722' });
        await running(startFreeSwitch(carriedBy === 0 ? FIRST : SECOND));
      });
      await rig.nothingHeld();
      await rig.stop({ faultsExpected: true });
    },
  );

  /** Every call goes on, without FreeSWITCH. */
  async function allMoved(calls: readonly TestCall[], fromMs: number): Promise<void> {
    await eventually(() => expect(rig.log.events('call.media_replaced')).toHaveLength(CALLS));
    const movedAtMs = performance.now();
    await Promise.all(calls.map((call) => hearsAgent(call, movedAtMs)));
    await sleep(600);
    expectAgentsHear();
    const gapsMs = calls.map((call) => longestGapMs(call, fromMs));
    report(`silence: median ${Math.round(quantile(gapsMs, 0.5))} ms, longest ${Math.round(Math.max(...gapsMs))} ms`);
  }

  function longestGapMs(call: TestCall, fromMs: number): number {
    const arrivals = call.heard.packets.map(({ arrivedMs }) => arrivedMs).filter((atMs) => atMs >= fromMs - 100);
    return Math.max(...arrivals.slice(1).map((atMs, n) => atMs - (arrivals[n] ?? 0)));
  }
});

describe.skipIf(missingToBreak.length > 0)(
  `kill -9 of the bridge amid ${CALLS} calls${why}`,
  { timeout: 120_000 },
  () => {
    it.each(['embedded', 'drachtio'] as const)(
      'sip.engine %s: the channels it left are hung up when it is back, and new calls served',
      async (sip) => {
        const letOthers = await serversToOurselves();
        const processes = [
          await startFreeSwitch(FIRST),
          ...(sip === 'drachtio' ? [await startDrachtio(DRACHTIO)] : []),
        ];
        const program = new BridgeProgram();
        const simulator = new PranthoraSimulator({ scenarioFor: (id) => AGENTS[id] });
        const { url } = await simulator.start();
        const config = rigDocument(
          {
            engines: { sip, media: 'freeswitch' },
            agents: AGENTS,
            drachtio: DRACHTIO,
            freeSwitches: [addressOf(FIRST)],
            // The same after a restart: by it the bridge knows its channels.
            config: { http: { port: 18_080 }, sip: { listen: ['udp://127.0.0.1:5193'] } },
          },
          url,
        );
        const caller = await TestCaller.start({ logger: new CollectedLog().logger });
        const uri = `sip:talker@${sip === 'drachtio' ? DRACHTIO.sip : '127.0.0.1:5193'}`;
        let bridge: ChildBridge = await program.start(config);
        await sleep(200);
        const calls = Array.from({ length: CALLS }, () => caller.call(uri));
        await Promise.all(calls.map((call) => call.answered));
        expect(await channelsOn(FIRST)).toBe(2 * CALLS);

        await bridge.end('SIGKILL');
        const killedAtMs = performance.now();
        bridge = await program.start(config);
        const readyAtMs = performance.now();
        await eventually(async () => {
          expect(await channelsOn(FIRST)).toBe(0);
        });
        report(
          `ready ${Math.round(readyAtMs - killedAtMs)} ms after the kill, channels gone ${sinceMs(readyAtMs)} ms later`,
        );
        const again = await eventually(async () => {
          const attempt = caller.call(uri);
          await attempt.answered;
          return attempt;
        }, RECOVERY_MS);
        report(`served again ${sinceMs(readyAtMs)} ms after it was ready`);
        await again.hangUp();
        await eventually(async () => {
          expect(await channelsOn(FIRST)).toBe(0);
        });

        await Promise.all(calls.map((call) => call.hangUp()));
        await caller.close();
        await bridge.end('SIGTERM');
        await simulator.stop();
        program.remove();
        await Promise.all(processes.map((server) => server.kill()));
        await letOthers();
      },
    );
  },
);

/** G.722 alone, at a port nobody listens on. */
const WIDEBAND_OFFER = [
  'v=0',
  'o=phone 1 1 IN IP4 127.0.0.1',
  's=-',
  'c=IN IP4 127.0.0.1',
  't=0 0',
  'm=audio 40000 RTP/AVP 9',
  'a=sendrecv',
  '',
].join('\r\n');

async function ready(http: string, status: number): Promise<void> {
  const response = await fetch(`${http}/ready`);
  await response.arrayBuffer();
  expect(response.status).toBe(status);
}

const sinceMs = (fromMs: number): number => Math.round(performance.now() - fromMs);

/** What a drill has measured, for the one who runs it. */
function report(measured: string): void {
  process.stdout.write(`  ${expect.getState().currentTestName ?? ''}: ${measured}\n`);
}
