import { expect, it } from 'vitest';
import { decodeG711 } from '../../../src/audio/g711.js';
import { Downlink } from '../../../src/bridge/downlink/downlink.js';
import { seededRandom } from '../../support/signal.js';
import { downlinkReference, followSpeech, speechLikeNoise } from '../../support/wire-audio.js';

/** An agent that says one thing after another, all at once each, and is interrupted in some of them at any moment. */
it.each([1, 2, 3, 4])('plays every utterance to its end, or until it is interrupted, and nothing else (%d)', (seed) => {
  const random = seededRandom(seed);
  const downlink = new Downlink();
  const packets: Int16Array[] = [];
  const payload = new Uint8Array(160);
  const tick = (): void => {
    downlink.nextPayload(payload, 0);
    const samples = new Int16Array(160);
    decodeG711('mulaw', payload, 0, 160, samples, 0);
    packets.push(samples);
  };
  const said: { samples: Int16Array; isInterrupted: boolean }[] = [];
  for (let n = 0; n < 60; n++) {
    const samples = speechLikeNoise(20 + Math.floor(random() * 1_000), 1_000 * seed + n);
    const isInterrupted = random() < 0.6;
    said.push({ samples, isInterrupted });
    downlink.push(new Uint8Array(samples.slice().buffer));
    const lengthTicks = Math.ceil(samples.length / 320);
    const heardTicks = isInterrupted ? Math.floor(random() * (lengthTicks + 3)) : lengthTicks;
    for (let i = 0; i < heardTicks; i++) tick();
    if (isInterrupted) downlink.interrupt(0);
    // Behind an utterance played to its end, its tail; behind an interruption, whatever time it takes to answer.
    const pauseTicks = (isInterrupted && heardTicks < lengthTicks ? 0 : 3) + Math.floor(random() * 6);
    for (let i = 0; i < pauseTicks; i++) tick();
  }
  for (let i = 0; i < 10; i++) tick();
  const heard = followSpeech(
    'mulaw',
    packets,
    said.map(({ samples }) => downlinkReference('mulaw', samples)),
  );
  heard.forEach(({ complete }, n) => {
    if (said[n]?.isInterrupted === false) expect(complete).toBe(true);
  });
  const { receivedMs, playedMs, discardedMs } = downlink.stats;
  expect(playedMs + discardedMs).toBeCloseTo(receivedMs);
});
