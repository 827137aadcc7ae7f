import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { createFrameEncoder } from '../../../src/audio/frame-codec.js';
import { decodeG711, encodeG711, G711_SILENCE, type G711Law } from '../../../src/audio/g711.js';
import type { LogFields, Logger } from '../../../src/logger.js';
import { hostOf, localAddressTowards } from '../../../src/phone/local-address.js';
import { TestCaller } from '../../../src/phone/test-caller.js';
import type { TestCall } from '../../../src/phone/test-call.js';
import { AgentRig } from '../../support/agent-rig.js';
import { FakeClock } from '../../support/fake-clock.js';
import { RawPhone } from '../../support/raw-phone.js';
import { fitSine, tone } from '../../support/signal.js';
import { respond } from '../../support/sip-call.js';
import { UdpPeer } from '../../support/sip-peer.js';
import { answer, hangUp, type TestDialog } from '../../support/srf-client.js';
import { steadyClock } from '../../support/steady-clock.js';

const PAYLOAD_TYPE = { PCMU: 0, PCMA: 8 } as const;
const LAW: Record<keyof typeof PAYLOAD_TYPE, G711Law> = { PCMU: 'mulaw', PCMA: 'alaw' };

const problems: LogFields[] = [];
const logger: Logger = {
  debug: () => undefined,
  info: () => undefined,
  warn: (fields) => void problems.push(fields),
  error: (fields) => void problems.push(fields),
  child: () => logger,
};

let rig: AgentRig;
let phone: RawPhone;
let caller: TestCaller;

beforeEach(async () => {
  problems.length = 0;
  rig = await (await AgentRig.start()).withClient();
  phone = await RawPhone.open();
  caller = await TestCaller.start({ logger, clock: steadyClock });
});

afterEach(async () => {
  expectNothingHeld();
  await caller.close();
  await phone.close();
  await rig.close();
  expect(problems).toEqual([]);
});

function expectNothingHeld(): void {
  const { calls, rtpPorts, ticking, sip } = caller.held;
  expect({ calls, rtpPorts, ticking, dialogs: sip.dialogs }).toEqual({ calls: 0, rtpPorts: 0, ticking: 0, dialogs: 0 });
}

function uri(protocol: 'udp' | 'tcp' = 'udp'): string {
  const transport = protocol === 'tcp' ? ';transport=tcp' : '';
  return `sip:1000@127.0.0.1:${rig.port(protocol)}${transport}`;
}

async function pickUp(sdp: string): Promise<TestDialog> {
  const { request, response } = await rig.nextInvite();
  response.send(180);
  return answer(rig.srf, request, response, sdp);
}

function companded(samples: Int16Array, law: G711Law): { coded: Uint8Array; decoded: Int16Array } {
  const coded = new Uint8Array(samples.length);
  const decoded = new Int16Array(samples.length);
  encodeG711(law, samples, 0, samples.length, coded, 0);
  decodeG711(law, coded, 0, samples.length, decoded, 0);
  return { coded, decoded };
}

const hum = tone({ rateHz: 8_000, frequencyHz: 440, levelDbm0: -10, durationMs: 100 });
const whats = (call: TestCall): string[] => call.report().progress.map(({ direction, what }) => `${direction} ${what}`);

describe('an answered call', () => {
  it.each(['PCMU', 'PCMA'] as const)('carries %s both ways, to the sample', async (codec) => {
    const call = caller.call(uri(), { codec });
    const played = call.play(hum);
    const dialog = await pickUp(phone.sdp(PAYLOAD_TYPE[codec]));
    await call.answered;
    await played;

    const { coded, decoded } = companded(hum, LAW[codec]);
    for (let at = 0; at < coded.length; at += 160) phone.send(PAYLOAD_TYPE[codec], coded.subarray(at, at + 160));
    const sent = await phone.packets(10);
    expect(Buffer.concat(sent.slice(0, 5).map(({ payload }) => payload))).toEqual(Buffer.from(coded));
    expect(sent[5]?.payload).toEqual(Buffer.alloc(160, G711_SILENCE[LAW[codec]]));

    await call.hangUp();
    expect(call.heard.timeline()).toEqual(decoded);
    expect(call.recording().sent.subarray(0, hum.length)).toEqual(hum);
    expect(call.report()).toMatchObject({ codec, foreignPackets: 0, ending: { by: 'caller' } });
    expect(call.report().heard).toMatchObject({ packets: 5, lost: 0, sequenceBreaks: 0, timestampBreaks: 0 });
    expect(dialog.connected).toBe(false);
    expect(whats(call)).toEqual(['sent INVITE', 'received 180 Ringing', 'received 200 OK', 'sent BYE']);
  });

  it.each([
    { codec: 'G722', payloadType: 9, units: 160, samples: 320 },
    { codec: 'L16', payloadType: 96, units: 320, samples: 320 },
  ] as const)('carries $codec both ways, at 16 kHz', async ({ codec, payloadType, units, samples }) => {
    const call = caller.call(uri(), { codec });
    expect(call.rateHz).toBe(16_000);
    const said = tone({ rateHz: 16_000, frequencyHz: 6_000, levelDbm0: -10, durationMs: 100 });
    const played = call.play(said);
    await pickUp(`${phone.sdp(payloadType)}a=rtpmap:${payloadType} ${codec}/${50 * units}\r\n`);
    await call.answered;
    await played;
    const sent = (await phone.packets(6)).slice(0, 6);
    const encoder = createFrameEncoder(codec);
    const expected = Buffer.alloc(5 * encoder.payloadBytes);
    for (let n = 0; n < 5; n++) {
      encoder.encode(said.subarray(n * samples, (n + 1) * samples), expected, n * encoder.payloadBytes);
    }
    expect(Buffer.concat(sent.slice(0, 5).map(({ payload }) => payload))).toEqual(expected);
    expect(sent.map(({ timestamp }) => (timestamp - (sent[0]?.timestamp ?? 0)) >>> 0)).toEqual(
      sent.map((_, n) => n * units),
    );

    for (const { payload } of sent) phone.send(payloadType, payload, units);
    await vi.waitFor(() => expect(call.heard.packets).toHaveLength(sent.length));
    await call.hangUp();
    expect(call.report().heard).toMatchObject({ packets: 6, lost: 0, sequenceBreaks: 0, timestampBreaks: 0 });
    const heard = call.heard.timeline().subarray(samples, 5 * samples);
    expect(Math.abs(fitSine(heard, 16_000, 6_000).levelDbm0 + 10)).toBeLessThan(0.5);
    expect(call.recording().sent.subarray(0, said.length)).toEqual(said);
  });

  it('sends without a break in sequence or time from the answer on', async () => {
    const call = caller.call(uri());
    await pickUp(phone.sdp(0));
    await call.answered;
    const packets = await phone.packets(20);
    packets.slice(1).forEach((packet, n) => {
      const previous = packets[n];
      expect((packet.sequenceNumber - (previous?.sequenceNumber ?? 0)) & 0xffff).toBe(1);
      expect((packet.timestamp - (previous?.timestamp ?? 0)) >>> 0).toBe(160);
      expect(packet).toMatchObject({ ssrc: previous?.ssrc, payloadType: 0, marker: false });
    });
    expect(packets[0]?.marker).toBe(false);
    await call.hangUp();
  });

  it('tells a lost packet', async () => {
    const call = caller.call(uri());
    await pickUp(phone.sdp(0));
    await phone.packets(1);
    const payload = companded(hum, 'mulaw').coded.subarray(0, 160);
    phone.send(0, payload);
    phone.lose();
    phone.send(0, payload);
    await expectHeard(call, 2);
    await call.hangUp();
    expect(call.report().heard).toMatchObject({ packets: 2, lost: 1, sequenceBreaks: 1 });
    expect(call.heard.timeline()).toHaveLength(480);
  });

  it('ends with the BYE of the callee', async () => {
    const call = caller.call(uri());
    const dialog = await pickUp(phone.sdp(0));
    await call.answered;
    const endless = call.play(new Int16Array(8_000 * 60));
    await hangUp(dialog);
    expect(await call.ended).toMatchObject({ by: 'callee' });
    await endless;
    await call.play(hum);
    await call.hangUp();
    expect(whats(call).at(-1)).toBe('received BYE');
  });

  it('goes over TCP', async () => {
    const call = caller.call(uri('tcp'), { from: '+15550199', headers: { 'X-Tenant': 'sales' } });
    const { request, response } = await rig.nextInvite();
    expect(request.protocol).toBe('tcp');
    expect(request.get('From')).toContain('sip:+15550199@');
    expect(request.get('X-Tenant')).toBe('sales');
    await answer(rig.srf, request, response, phone.sdp(0));
    await call.answered;
    await call.hangUp();
  });

  it('is silent on hold, and speaks again after it', async () => {
    const call = caller.call(uri());
    const dialog = await pickUp(phone.sdp(0));
    await phone.packets(3);
    await dialog.modify(phone.sdp(0, 'inactive'));
    const before = phone.received.length;
    phone.send(0, companded(hum, 'mulaw').coded.subarray(0, 160));
    await expectHeard(call, 1);
    await dialog.modify(phone.sdp(0));
    const packets = await phone.packets(before + 3);
    const gap = packets.findIndex(
      ({ timestamp }, n) => n > 0 && timestamp !== ((packets[n - 1]?.timestamp ?? 0) + 160) >>> 0,
    );
    expect(gap).toBeGreaterThan(0);
    expect((packets[gap]?.timestamp ?? 0) - (packets[gap - 1]?.timestamp ?? 0)).toBeGreaterThan(160);
    expect(packets[gap]?.sequenceNumber).toBe(((packets[gap - 1]?.sequenceNumber ?? 0) + 1) & 0xffff);
    await call.hangUp();
    expect(whats(call).filter((what) => what === 'received INVITE')).toHaveLength(2);
  });
});

/** Polls, for there is nothing to wait on: a telephone does not tell its user that a packet came. */
async function expectHeard(call: TestCall, packets: number): Promise<void> {
  await expect.poll(() => call.heard.packets.length).toBeGreaterThanOrEqual(packets);
}

describe('a call that is not answered', () => {
  it('is refused with the status of the callee', async () => {
    const call = caller.call(uri());
    const { response } = await rig.nextInvite();
    response.send(486);
    await expect(call.answered).rejects.toMatchObject({ name: 'CallRefused', status: 486 });
    expect(await call.ended).toMatchObject({ by: 'refused', reason: expect.stringContaining('486') as string });
  });

  it('can be given up while it rings', async () => {
    const call = caller.call(uri());
    const { request, response } = await rig.nextInvite();
    const canceled = new Promise((resolve) => request.once('cancel', resolve));
    const ringing = new Promise((resolve) => call.once('ringing', resolve));
    response.send(180);
    await ringing;
    await Promise.all([call.hangUp(), call.hangUp()]);
    await canceled;
    await expect(call.answered).rejects.toMatchObject({ status: 487 });
    expect(await call.ended).toMatchObject({ by: 'caller' });
  });

  it('can be given up before there is an INVITE', async () => {
    const call = caller.call(uri());
    await call.hangUp();
    await expect(call.answered).rejects.toThrow('given up');
    expect(whats(call)).toEqual([]);
    expect(rig.offered).toEqual([]);
  });

  it('is hung up when the answer cannot be used', async () => {
    const call = caller.call(uri(), { codec: 'PCMA' });
    const dialog = await pickUp(phone.sdp(0));
    expect(await call.ended).toMatchObject({ by: 'failed', reason: expect.stringContaining('PCMA') as string });
    await expect.poll(() => dialog.connected).toBe(false);
  });

  it('fails when nobody is there at all', async () => {
    const call = caller.call('sip:1000@127.0.0.1:9;transport=tcp');
    expect((await call.ended).by).toMatch(/refused|failed/);
    await expect(call.answered).rejects.toThrow();
  });
});

it('does not wait for ever for a callee that ignores CANCEL', async () => {
  const clock = new FakeClock();
  const impatient = await TestCaller.start({ logger, clock });
  const deaf = await UdpPeer.open({ address: '127.0.0.1', port: 9 });
  const call = impatient.call(`sip:1000@127.0.0.1:${deaf.port}`);
  const invite = await deaf.next('INVITE');
  const via = /127\.0\.0\.1:(\d+)/.exec(invite.header('Via'))?.[1];
  const ringer = await UdpPeer.open({ address: '127.0.0.1', port: Number(via) });
  const ringing = new Promise((resolve) => call.once('ringing', resolve));
  respond(ringer, invite, '180 Ringing', { tag: 'deaf' });
  await ringing;
  call.cancel();
  await deaf.next('CANCEL');
  clock.advance(4_000);
  expect(await call.ended).toEqual({ by: 'caller', reason: 'canceled, without an answer' });
  await impatient.close();
  await Promise.all([deaf.close(), ringer.close()]);
});

it('says that there was no answer when nobody said anything', async () => {
  const clock = new FakeClock();
  const patient = await TestCaller.start({ logger, clock });
  const deaf = await UdpPeer.open({ address: '127.0.0.1', port: 9 });
  const call = patient.call(`sip:1000@127.0.0.1:${deaf.port}`);
  await deaf.next('INVITE');
  clock.advance(32_000);
  expect(await call.ended).toEqual({ by: 'failed', reason: 'no answer' });
  expect(whats(call)).toEqual(['sent INVITE']);
  await patient.close();
  await deaf.close();
});

it('keeps several calls apart', async () => {
  const phones = await Promise.all([RawPhone.open(), RawPhone.open(), RawPhone.open()]);
  const calls: TestCall[] = [];
  for (const [n, each] of phones.entries()) {
    const call = caller.call(uri());
    await pickUp(each.sdp(0));
    await call.answered;
    await each.packets(1);
    for (let i = 0; i <= n; i++) each.send(0, new Uint8Array(160).fill(n));
    calls.push(call);
  }
  for (const [n, call] of calls.entries()) await expectHeard(call, n + 1);
  expect(caller.held).toMatchObject({ calls: 3, rtpPorts: 3, ticking: 3 });
  await caller.close();
  expect(calls.map((call) => call.report().heard.packets)).toEqual([1, 2, 3]);
  expect(calls.map((call) => call.ending?.by)).toEqual(['caller', 'caller', 'caller']);
  await Promise.all(phones.map((each) => each.close()));
});

it('takes no calls, and places none once closed', async () => {
  await caller.close();
  await caller.close();
  expect(() => caller.call(uri())).toThrow('closed');
});

describe('the address a callee is reached from', () => {
  it('is loopback for loopback, by literal and by name', async () => {
    expect(await localAddressTowards('sip:100@127.0.0.1:5060')).toBe('127.0.0.1');
    expect(await localAddressTowards('sip:100@localhost')).toMatch(/^(127\.0\.0\.1|::1)$/);
  });

  it('is refused for what is no SIP URI, or no host', async () => {
    await expect(localAddressTowards('100@127.0.0.1')).rejects.toThrow('Not a SIP URI');
    await expect(localAddressTowards('sip:100@no-such-host.invalid')).rejects.toThrow('no-such-host.invalid');
  });

  it.each([
    ['sip:100@192.0.2.1:5060;transport=tcp', '192.0.2.1'],
    ['sips:pbx.example', 'pbx.example'],
    ['sip:+1555@[2001:db8::1]:5070', '2001:db8::1'],
    ['sip:', undefined],
    ['sip:a b@c', undefined],
    ['tel:+1555', undefined],
  ])('reads the host of %s', (text, host) => expect(hostOf(text)).toBe(host));
});
