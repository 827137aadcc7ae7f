import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { afterAll, afterEach, describe, expect, it, vi } from 'vitest';
import type { BridgeSettings } from '../../src/bridge/call-bridge.js';
import type { BridgeMedia } from '../../src/bridge/messages.js';
import { echo, refuse } from '../../src/simulator/scenarios.js';
import type { Scenario } from '../../src/simulator/simulator-session.js';
import { BridgeProgram } from '../support/child-bridge.js';
import { measuresRealTime } from '../support/real-time.js';
import { tone } from '../support/signal.js';
import {
  BridgeRig,
  isSilentPacket,
  ListeningAgent,
  TELEPHONE_EVENT,
  type ReceivedPacket,
} from '../support/bridge-rig.js';
import { endingInSilence } from '../support/wire-audio.js';

measuresRealTime();

const SPEECH_8K = tone({ rateHz: 8_000, frequencyHz: 1_000, levelDbm0: -10, durationMs: 20 });
const speech16k = (durationMs: number): Int16Array =>
  tone({ rateHz: 16_000, frequencyHz: 1_000, levelDbm0: -10, durationMs });

const endsWith =
  (kind: 'speech' | 'silence') =>
  (packets: readonly ReceivedPacket[]): boolean => {
    const last = packets.at(-1);
    return last !== undefined && isSilentPacket(last) === (kind === 'silence');
  };

/** Each packet is the next in sequence and 20 ms later. */
function expectUnbroken(packets: readonly ReceivedPacket[], [units, bytes] = [160, 160]): void {
  packets.slice(1).forEach(({ packet }, i) => {
    const previous = packets[i]?.packet ?? packet;
    expect((packet.sequenceNumber - previous.sequenceNumber) & 0xffff).toBe(1);
    expect((packet.timestamp - previous.timestamp) >>> 0).toBe(units);
    expect([packet.ssrc, packet.marker, packet.payloadLength]).toEqual([previous.ssrc, false, bytes]);
  });
}

function payloadOf({ packet: { bytes, payloadOffset, payloadLength } }: ReceivedPacket): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset + payloadOffset, payloadLength);
}

/** What L16 packets carry. */
function samplesOf(packets: readonly ReceivedPacket[]): number[] {
  return packets.flatMap((each) => {
    const payload = payloadOf(each);
    return Array.from({ length: payload.length / 2 }, (_, i) => payload.readInt16BE(2 * i));
  });
}

const program = new BridgeProgram();
afterAll(() => program.remove());

describe.each([
  ['this thread', undefined],
  ['a media worker', program.script('bridge/threads/worker.js')],
])('CallBridge on %s', (_where, worker) => {
  let rig: BridgeRig;
  const start = async (scenario: Scenario, settings: Partial<BridgeSettings> = {}): Promise<BridgeRig> => {
    rig = await BridgeRig.start(scenario, settings, worker);
    return rig;
  };
  afterEach(async () => {
    await rig.stop();
  });

  it('carries the caller to the agent and back', async () => {
    const { phone } = await start(echo());
    await rig.started();
    await phone.receive(1);
    for (let i = 0; i < 40; i++) {
      phone.speak(SPEECH_8K);
      await phone.receive(1);
    }
    await phone.until(endsWith('silence'));
    expect(phone.packets.filter((each) => !isSilentPacket(each)).length).toBeGreaterThanOrEqual(38);
    expect(phone.packets[0]?.packet).toMatchObject({ marker: false, payloadType: 0, payloadLength: 160 });
    expectUnbroken(phone.packets);

    rig.bridge.close();
    const { stats } = await rig.event('closed');
    expect(stats.uplink).toMatchObject({ packets: 40, lost: 0, late: 0, foreign: 0, malformed: 0, droppedFrames: 0 });
    expect(stats.downlink.packets).toBeGreaterThanOrEqual(phone.packets.length);
    expect(stats.downlink).toMatchObject({ sendErrors: 0, overflowedMs: 0, discardedMs: 0 });
    expect(stats.firstAudioMs).toBeGreaterThan(0);
    expect(stats.remote).toEqual({ address: '127.0.0.1', port: phone.port });
    expect(rig.session.violations).toEqual([]);
  });

  it('carries L16 both ways, sample by sample', async () => {
    // Says it all at once: what came back as it was said would have gaps, and be faded at each of them.
    const heard: Buffer[] = [];
    const { phone } = await start({
      onMedia: (session, payload) => {
        if (payload.some((byte) => byte !== 0)) heard.push(Buffer.from(payload));
        if (heard.length === 40) session.sendMedia(Buffer.concat(heard.splice(0)));
      },
    });
    await rig.started({ encoding: 'L16', payloadType: 96 });
    const said = endingInSilence(speech16k(800));
    await phone.receive(1);
    for (let i = 0; i < 40; i++) {
      phone.speakL16(said.subarray(i * 320, (i + 1) * 320), 96);
      await phone.receive(1);
    }
    // The rest is silence.
    const spoken = (samples: Iterable<number>): number[] => [...samples].filter((sample) => sample !== 0);
    await phone.until((packets) => spoken(samplesOf(packets)).length >= spoken(said).length);
    expect(phone.packets[0]?.packet).toMatchObject({ marker: false, payloadType: 96, payloadLength: 640 });
    expectUnbroken(phone.packets, [320, 640]);
    expect(spoken(samplesOf(phone.packets))).toEqual(spoken(said));

    rig.bridge.close();
    const { stats } = await rig.event('closed');
    expect(stats.uplink).toMatchObject({ packets: 40, lost: 0, late: 0, malformed: 0 });
    // The caller has stopped without a word: what is put in its place comes 100 ms after the last packet.
    expect(rig.session.violations.filter(({ kind }) => kind !== 'gap')).toEqual([]);
  });

  it('goes over to another encoding within a tick, as another stream, the speech going on', async () => {
    const { phone } = await start(new ListeningAgent());
    await rig.started({ encoding: 'L16', payloadType: 96 });
    rig.session.sendAudio(Buffer.from(speech16k(2_000).buffer));
    await phone.until((packets) => samplesOf(packets.slice(-1)).some((sample) => sample !== 0));
    await phone.receive(5);
    rig.bridge.setMedia(phone.media);
    await phone.until((packets) => packets.at(-1)?.packet.payloadType === 0);
    await phone.receive(10);
    const first = phone.packets.findIndex(({ packet }) => packet.payloadType === 0);
    const [before, after] = [phone.packets.slice(0, first), phone.packets.slice(first)];
    expectUnbroken(before, [320, 640]);
    expectUnbroken(after);
    expect(after[0]?.packet.ssrc).not.toBe(before[0]?.packet.ssrc);
    expect(after.every((each) => !isSilentPacket(each))).toBe(true);
    // And from the caller, who comes from where he came from before.
    phone.speak(SPEECH_8K);
    await phone.receive(3);
    rig.bridge.close();
    const { stats } = await rig.event('closed');
    expect(stats.uplink).toMatchObject({ packets: 1, foreign: 0 });
    expect(rig.session.violations).toEqual([]);
  });

  it('keeps the stream when only the law changes', async () => {
    const { phone } = await start(new ListeningAgent());
    await rig.started();
    await phone.receive(5);
    rig.bridge.setMedia({ ...phone.media, encoding: 'PCMA', payloadType: 8 });
    await phone.until((packets) => packets.at(-1)?.packet.payloadType === 8);
    await phone.receive(5);
    expectUnbroken(phone.packets);
    expect(
      phone.packets
        .at(-1)
        ?.packet.bytes.subarray(12)
        .every((codeWord) => codeWord === 0xd5),
    ).toBe(true);
  });

  it('feeds the agent from its start on, answered or not, without a burst for the time before', async () => {
    const agent = new ListeningAgent((session) => {
      session.after(350, () => session.start());
    });
    await start(agent);
    await rig.connected();
    expect(agent.frames).toBe(0);
    await agent.hear(15);
    expect(rig.phone.packets).toEqual([]);
    rig.bridge.close();
    const { stats } = await rig.event('closed');
    expect(rig.session.violations).toEqual([]);
    expect(stats.uplink).toMatchObject({ packets: 0, droppedFrames: 0 });
    expect(stats.uplink.frames).toBeLessThanOrEqual(agent.frames + 2);
  });

  it('plays an early greeting from its beginning once the call is answered', async () => {
    const agent = new ListeningAgent((session) => {
      session.sendAudio(Buffer.from(speech16k(200).buffer));
      session.start();
    });
    const { phone } = await start(agent);
    await rig.started();
    await phone.until((packets) => packets.some(isSilentPacket) && endsWith('silence')(packets));
    const spoken = phone.packets.findIndex(isSilentPacket);
    expect(spoken).toBeGreaterThanOrEqual(10);
    expect(spoken).toBeLessThanOrEqual(12); // ten frames and the filter's tail
  });

  it('falls silent within a tick when interrupted, and says how fast', async () => {
    const agent = new ListeningAgent();
    const { phone } = await start(agent);
    await rig.started();
    rig.session.sendAudio(Buffer.from(speech16k(3_000).buffer));
    await phone.until(endsWith('speech'));
    await phone.receive(5);
    rig.session.interrupt();
    const { interruption } = await rig.event('interrupted');
    // How fast is for the bench to say; here it must be a measured time, and old speech must not come after it.
    expect(interruption.reactionMs).toBeGreaterThan(0);
    expect(interruption.reactionMs).toBeLessThan(1_000);
    expect(interruption.discardedMs).toBeGreaterThan(2_000);
    expect(interruption.discardedMs).toBeLessThan(3_000);
    await phone.until(endsWith('silence'));
    await phone.receive(5);
    expect(phone.packets.slice(-5).every(isSilentPacket)).toBe(true);

    rig.session.sendAudio(Buffer.from(speech16k(100).buffer));
    await phone.until(endsWith('speech'));
    rig.bridge.close();
    const { stats } = await rig.event('closed');
    expect(stats.interruptions).toEqual([interruption]);
    expectUnbroken(phone.packets);
  });

  it('measures no reaction to an interruption before the answer, and plays nothing from before it', async () => {
    const agent = new ListeningAgent();
    await start(agent);
    await rig.connected();
    rig.session.sendAudio(Buffer.from(speech16k(1_000).buffer));
    rig.session.interrupt();
    await agent.hear(5);
    rig.bridge.setMedia(rig.phone.media);
    rig.bridge.start();
    await rig.phone.receive(10);
    expect(rig.phone.packets.every(isSilentPacket)).toBe(true);
    expect(rig.count('interrupted')).toBe(0);
  });

  it('tells at once that the agent has hung up, and when its last words have been played', async () => {
    const agent = new ListeningAgent();
    const { phone } = await start(agent);
    await rig.started();
    await phone.receive(1);
    const before = phone.packets.length;
    rig.session.sendAudio(Buffer.from(speech16k(400).buffer));
    rig.session.close(1000, 'Call terminated by agent');
    const { ending } = await rig.event('agent-ended');
    expect(ending).toMatchObject({ kind: 'agent-hangup', closeCode: 1000 });
    rig.bridge.playOut();
    expect((await rig.event('played-out')).leftMs).toBe(0);
    const spoken = phone.packets.slice(before).filter((each) => !isSilentPacket(each));
    expect(spoken.length).toBeGreaterThanOrEqual(20);
    // The caller's jitter buffer gets time to play them.
    expect(phone.packets.slice(-2).every(isSilentPacket)).toBe(true);
    await phone.receive(3); // and the stream goes on until the bridge is closed
    expect(rig.count('played-out')).toBe(1);
  });

  it('does not let last words last longer than it may', async () => {
    const agent = new ListeningAgent();
    const { phone } = await start(agent, { farewellMs: 300 });
    await rig.started();
    await phone.receive(1);
    const startedAtMs = performance.now();
    rig.session.sendAudio(Buffer.from(speech16k(30_000).buffer));
    rig.session.close(1000, 'done');
    await rig.event('agent-ended');
    rig.bridge.playOut();
    expect((await rig.event('played-out')).leftMs).toBeGreaterThan(29_000);
    const tookMs = performance.now() - startedAtMs;
    expect(tookMs).toBeGreaterThanOrEqual(295);
    expect(tookMs).toBeLessThan(600);
  });

  it('plays what an agent said that has hung up while the caller was being answered', async () => {
    const { phone } = await start(new ListeningAgent());
    await rig.connected();
    rig.session.sendAudio(Buffer.from(speech16k(400).buffer));
    rig.session.close(1000, 'not today');
    await rig.event('agent-ended');
    rig.bridge.playOut();
    rig.bridge.setMedia(phone.media);
    rig.bridge.start();
    await rig.event('played-out');
    expect(phone.packets.filter((each) => !isSilentPacket(each)).length).toBeGreaterThanOrEqual(20);
  });

  it('has nothing to play before the start when nothing was said', async () => {
    await start(new ListeningAgent());
    await rig.connected();
    rig.bridge.playOut();
    expect((await rig.event('played-out')).leftMs).toBe(0);
  });

  it('lets time go on without packets while it is held', async () => {
    const agent = new ListeningAgent();
    const { phone } = await start(agent);
    await rig.started();
    await phone.receive(5);
    rig.bridge.setMedia({ ...phone.media, sending: false });
    rig.session.sendAudio(Buffer.from(speech16k(100).buffer)); // said to nobody
    await agent.hear(15);
    const before = phone.packets.length;
    rig.bridge.setMedia(phone.media);
    await phone.receive(5);
    const last = phone.packets[before - 1]?.packet;
    const next = phone.packets[before]?.packet;
    if (!last || !next) throw new Error('no packets');
    expect(next.marker).toBe(false);
    expect((next.sequenceNumber - last.sequenceNumber) & 0xffff).toBe(1);
    const gapMs = ((next.timestamp - last.timestamp) >>> 0) / 8;
    const heldMs = (phone.packets[before]?.atMs ?? 0) - (phone.packets[before - 1]?.atMs ?? 0);
    expect(Math.abs(gapMs - heldMs)).toBeLessThanOrEqual(200);
    expect(phone.packets.slice(before).every(isSilentPacket)).toBe(true);
  });

  it.each(['silence', 'audio'] as const)(
    'lets the agent hear %s of a caller that plays music on hold',
    async (holdToAgent) => {
      const agent = new ListeningAgent();
      const { phone } = await start(agent, { holdToAgent });
      await rig.started();
      const loudMsOf = async (media: Partial<BridgeMedia>): Promise<number> => {
        rig.bridge.setMedia({ ...phone.media, ...media });
        await agent.hear(10);
        const before = rig.session.receivedAudio().length;
        for (let i = 0; i < 25; i++) {
          phone.speak(SPEECH_8K);
          await agent.hear(1);
        }
        const audio = rig.session.receivedAudio().subarray(before);
        return audio.reduce((loud, sample) => loud + (Math.abs(sample) > 1_000 ? 1 : 0), 0) / 16;
      };
      expect(await loudMsOf({})).toBeGreaterThan(200);
      const onHoldMs = await loudMsOf({ sending: false });
      if (holdToAgent === 'silence') expect(onHoldMs).toBe(0);
      else expect(onHoldMs).toBeGreaterThan(200);
      expect(await loudMsOf({})).toBeGreaterThan(200);
    },
  );

  it('tells once that the agent says more than can be queued', async () => {
    await start(new ListeningAgent());
    await rig.started();
    for (let i = 0; i < 130; i++) rig.session.sendAudio(Buffer.from(speech16k(1_000).buffer));
    expect((await rig.event('queue-full')).queuedMs).toBeGreaterThan(115_000);
    rig.bridge.close();
    const { stats } = await rig.event('closed');
    expect(stats.downlink.overflowedMs).toBeGreaterThan(0);
    expect(rig.events.filter(({ kind }) => kind === 'queue-full')).toHaveLength(1);
  });

  it('misses the RTP of a caller who should send, and tells again only after as long', async () => {
    const agent = new ListeningAgent();
    await start(agent, { rtpTimeoutMs: 200 });
    await rig.started();
    const { silentMs } = await rig.event('rtp-timeout');
    expect(silentMs).toBeGreaterThan(200);
    expect(silentMs).toBeLessThan(400);
    await agent.hear(5);
    expect(rig.count('rtp-timeout')).toBe(1);
  });

  it.each([
    { why: 'before the answer', media: {}, started: false },
    { why: 'who holds us, with or without music', media: { sending: false }, started: true },
  ])('does not miss the RTP of a caller $why', async ({ media, started }) => {
    const agent = new ListeningAgent();
    await start(agent, { rtpTimeoutMs: 100 });
    await rig.connected();
    rig.bridge.setMedia({ ...rig.phone.media, ...media });
    if (started) rig.bridge.start();
    await agent.hear(15);
    expect(rig.count('rtp-timeout')).toBe(0);
  });

  it('misses a caller who only listens and shows nothing, and not one whose RTCP comes', async () => {
    const agent = new ListeningAgent();
    await start(agent, { rtpTimeoutMs: 300 });
    await rig.started({ receiving: false });
    // A receiver report without blocks, and no more than that.
    const report = Buffer.from([0x80, 201, 0, 1, 0, 0, 0, 42]);
    for (let i = 0; i < 10; i++) {
      await rig.phone.sendRaw(report);
      await agent.hear(5);
    }
    expect(rig.count('rtp-timeout')).toBe(0);
    await rig.event('rtp-timeout');
  });

  it('sends two seconds of packets to who has neither acknowledged nor sent anything, and no report', async () => {
    const agent = new ListeningAgent();
    const { phone } = await start(agent);
    await rig.connected();
    rig.bridge.setMedia(phone.media);
    rig.bridge.start();
    await agent.hear(130);
    expect(phone.packets).toHaveLength(100);
    rig.bridge.confirm();
    await phone.receive(10);
  });

  it('does not take a call of its own for a caller', async () => {
    const agent = new ListeningAgent();
    const { phone } = await start(agent, { rtpTimeoutMs: 400 });
    await rig.connected();
    const { rtpPort } = await rig.event('opened');
    rig.bridge.setMedia({ ...phone.media, remote: { address: '127.0.0.1', port: rtpPort } });
    rig.bridge.start();
    rig.bridge.confirm();
    await rig.event('rtp-timeout');
    rig.bridge.close();
    const { stats } = await rig.event('closed');
    expect(stats.uplink.packets).toBe(0);
    expect(stats.uplink.foreign).toBeGreaterThan(10);
    expect(stats.remote).toBeUndefined();
  });

  it('tells each digit once', async () => {
    const { phone } = await start(new ListeningAgent());
    await rig.started();
    phone.press(5);
    expect((await rig.event('dtmf')).digit).toBe('5');
    expect(TELEPHONE_EVENT).not.toBe(phone.media.payloadType);
    expect(rig.count('dtmf')).toBe(1);
  });

  it('goes on after the loss of the connection, the caller hearing silence meanwhile', async () => {
    const { phone } = await start(new ListeningAgent());
    await rig.started();
    await phone.receive(3);
    rig.session.terminate();
    expect(await rig.event('agent-reconnecting')).toMatchObject({ attempt: 1, ending: { kind: 'unreachable' } });
    expect((await rig.event('agent-reconnected')).outageMs).toBeGreaterThan(0);
    rig.session.sendAudio(Buffer.from(speech16k(100).buffer));
    await phone.until(endsWith('speech'));
    expectUnbroken(phone.packets);
    rig.bridge.close();
    expect((await rig.event('closed')).stats.reconnects).toBe(1);
  });

  it('lets the agent go that another one replaces', async () => {
    await start(new ListeningAgent());
    await rig.started();
    const [first] = rig.simulator.sessions;
    if (!first) throw new Error('no session');
    const gone = once(first, 'closed');
    rig.connectAgent('another');
    expect((await gone)[0]).toBe(1000);
    rig.session.sendAudio(Buffer.from(speech16k(100).buffer));
    await rig.phone.until(endsWith('speech'));
    expect(rig.session.agentId).toBe('another');
    expect(rig.count('agent-ready')).toBe(2);
    expect(rig.count('agent-ended')).toBe(0);
  });

  it('tells why an agent will not come, and may be given another', async () => {
    let refusals = 1;
    const fine = new ListeningAgent();
    await start({
      onOpen: (session) => {
        if (refusals-- > 0) refuse(4001, 'Unauthorized').onOpen?.(session);
        else fine.onOpen(session);
      },
    });
    await rig.event('opened');
    rig.connectAgent('first');
    expect((await rig.event('agent-ended')).ending).toMatchObject({ kind: 'configuration', closeCode: 4001 });
    expect(rig.pool.held.ticking).toBe(0);
    rig.connectAgent('second');
    await rig.event('agent-ready');
    expect(rig.pool.held.ticking).toBe(1);
  });

  it('returns no mark of an agent to the one that takes its place', async () => {
    const echoed: string[] = [];
    await start({
      onMark: (session, name) => {
        echoed.push(`${session.agentId ?? ''}: ${name}`);
      },
    });
    await rig.event('opened');
    rig.connectAgent('first', { mode: 'telephony' });
    await rig.event('agent-ready');
    rig.bridge.setMedia(rig.phone.media);
    rig.bridge.start();
    const first = rig.session;
    first.sendMedia(Buffer.alloc(160 * 5, 0x11));
    first.mark('of the first');
    await rig.phone.until(endsWith('speech'));
    rig.connectAgent('second', { mode: 'telephony' });
    await vi.waitFor(() => expect(rig.count('agent-ready')).toBe(2));
    rig.session.sendMedia(Buffer.alloc(160 * 5, 0x22));
    rig.session.mark('of the second');
    await vi.waitFor(() => expect(echoed).toEqual(['second: of the second']));
    // What the first one had said is heard to its end all the same.
    const spoken = Buffer.concat(rig.phone.packets.map(payloadOf));
    expect(spoken.filter((codeWord) => codeWord === 0x11).length).toBeGreaterThanOrEqual(160 * 5);
    expect(spoken.filter((codeWord) => codeWord === 0x22).length).toBeGreaterThanOrEqual(160 * 5 - 40);
    expect(rig.session.violations).toEqual([]);
  });

  it('plays no greeting of an agent that was not there for the call in the end', async () => {
    let sessions = 0;
    await start({
      onOpen: (session) => {
        session.sendAudio(Buffer.from(speech16k(200).buffer));
        if (sessions++ === 0) session.close(4001, 'Unauthorized');
        else session.start();
      },
    });
    const { rtpPort } = await rig.event('opened');
    rig.phone.callTo(rtpPort);
    rig.connectAgent('first');
    await rig.event('agent-ended');
    rig.connectAgent('second');
    await rig.event('agent-ready');
    rig.bridge.setMedia(rig.phone.media);
    rig.bridge.start();
    await rig.phone.until((packets) => packets.length > 0 && endsWith('silence')(packets));
    expect(rig.phone.packets.filter((each) => !isSilentPacket(each)).length).toBe(11);
    rig.bridge.close();
    expect((await rig.event('closed')).stats.downlink).toMatchObject({ playedMs: 200, discardedMs: 200 });
  });

  it('is not disturbed by whatever else comes to its port', async () => {
    const { phone } = await start(echo());
    await rig.started();
    phone.speak(SPEECH_8K);
    await phone.until(endsWith('speech'));
    const stranger = await rig.strangerSending(200, () => randomBytes(Math.floor(Math.random() * 300)));
    for (let i = 0; i < 200; i++) await phone.sendRaw(randomBytes(1 + (i % 11)));
    await phone.until(endsWith('silence'));
    phone.speak(SPEECH_8K);
    await phone.until(endsWith('speech'));
    stranger.close();
    rig.bridge.close();
    const { stats } = await rig.event('closed');
    expect(stats.uplink.malformed).toBe(200);
    expect(stats.uplink.foreign).toBe(200);
    expect(stats.uplink.packets).toBe(2);
    expectUnbroken(phone.packets);
  });
});

describe('CallBridge, closed', () => {
  const states: { when: string; reach: (rig: BridgeRig) => Promise<unknown> | undefined }[] = [
    { when: 'at once', reach: () => undefined },
    { when: 'with a port', reach: (rig) => rig.event('opened') },
    {
      when: 'while the agent connects',
      reach: async (rig) => {
        await rig.event('opened');
        rig.connectAgent();
      },
    },
    { when: 'with an agent', reach: (rig) => rig.connected() },
    { when: 'in the middle of a call', reach: (rig) => rig.started() },
    {
      when: 'while reconnecting',
      reach: async (rig) => {
        await rig.started();
        rig.session.terminate();
        await rig.event('agent-reconnecting');
      },
    },
    {
      when: "during the agent's last words",
      reach: async (rig) => {
        await rig.started();
        rig.session.sendAudio(Buffer.from(speech16k(2_000).buffer));
        rig.session.close(1000, 'bye');
        await once(rig.session, 'closed');
      },
    },
  ];

  it.each(states)('$when: tells so once, holds nothing, and does nothing any more', async ({ reach }) => {
    const rig = await BridgeRig.start(new ListeningAgent());
    await reach(rig);
    const told = rig.events.length;
    rig.bridge.close();
    expect(rig.events.slice(told).map(({ kind }) => kind)).toEqual(['closed']);
    expect(rig.pool.active).toBe(0);
    rig.bridge.close();
    rig.connectAgent();
    rig.bridge.setMedia(rig.phone.media);
    rig.bridge.start();
    await rig.stop();
    expect(rig.count('closed')).toBe(1);
  });

  it('says why it cannot be opened, and takes no port', async () => {
    const rig = await BridgeRig.start(new ListeningAgent(), { ports: { min: 32_000, max: 32_001 } });
    await rig.event('opened');
    const second = rig.open();
    rig.connectAgent('agent of a call without a port', {}, second);
    const { bridge, detail } = await rig.event('open-failed');
    expect(bridge).toBe(second.id);
    expect(detail).toBe('No RTP port is free');
    second.close();
    await rig.stop();
    expect(rig.simulator.sessions).toEqual([]);
  });

  it('connects an agent it was told of before there was a port, once there is one', async () => {
    const rig = await BridgeRig.start(new ListeningAgent());
    rig.connectAgent();
    await rig.event('agent-ready');
    expect(rig.events.map(({ kind }) => kind)).toEqual(['opened', 'agent-ready']);
    await rig.stop();
  });

  it('stop() ends every bridge of the pool', async () => {
    const rig = await BridgeRig.start(new ListeningAgent());
    const more = Array.from({ length: 5 }, () => rig.open());
    await rig.started();
    expect(rig.pool.active).toBe(6);
    await rig.pool.stop();
    expect(rig.count('closed')).toBe(6);
    for (const bridge of more) bridge.close();
    await rig.stop();
  });
});
