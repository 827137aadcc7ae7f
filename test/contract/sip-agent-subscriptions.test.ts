import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { AgentRig } from '../support/agent-rig.js';
import { PeerCall, respond } from '../support/sip-call.js';
import type { UdpPeer } from '../support/sip-peer.js';
import type { SrfRequest, SrfResponse, TestDialog, TestSrf } from '../support/srf-client.js';

/** What of drachtio-srf only notifiers use. */
interface Notifier extends Omit<TestSrf, 'createUAS'> {
  subscribe(handler: (request: SrfRequest, response: SrfResponse) => void): void;
  createUAS(request: SrfRequest, response: SrfResponse): Promise<TestDialog>;
}

let rig: AgentRig;
let peer: UdpPeer;
let subscribed: Promise<TestDialog>;

beforeEach(async () => {
  rig = await AgentRig.start({ timers: { t1Ms: 5, t2Ms: 40, t4Ms: 50 } });
  await rig.withClient((srf) => {
    const notifier = srf as unknown as Notifier;
    subscribed = new Promise((resolve, reject) =>
      notifier.subscribe((request, response) => {
        notifier.createUAS(request, response).then(resolve, reject);
      }),
    );
  });
  peer = await rig.udpPeer();
});

afterEach(async () => {
  await rig.close();
  expect(rig.agent.stats()).toMatchObject({ dialogs: 0, clients: 0 });
  expect(rig.logger.events('sip.fault')).toEqual([]);
});

async function subscribe(expires: string): Promise<void> {
  const call = new PeerCall(peer, rig.port('udp'));
  call.send('SUBSCRIBE', { headers: ['Event: presence', expires, 'Record-Route: <sip:127.0.0.1:5999;lr>'] });
  const accepted = await peer.next('202 SUBSCRIBE');
  expect(accepted.header('Record-Route')).toBe('<sip:127.0.0.1:5999;lr>');
  await subscribed;
}

const notify = (dialog: TestDialog, state: string): Promise<SrfResponse> =>
  dialog.request({ method: 'NOTIFY', headers: { Event: 'presence', 'Subscription-State': state } });

async function nothingLeft(): Promise<void> {
  await vi.waitFor(() => expect(rig.agent.stats().dialogs).toBe(0));
}

test('a subscription lasts until the NOTIFY that ends it', async () => {
  const call = new PeerCall(peer, rig.port('udp'));
  call.send('SUBSCRIBE', { headers: ['Event: presence', 'Expires: 900'] });
  const accepted = await peer.next('202 SUBSCRIBE');
  const dialog = await subscribed;
  for (const state of ['active', 'terminated;reason=noresource']) {
    const sent = notify(dialog, state);
    const notified = await peer.next('NOTIFY');
    expect(notified.header('Subscription-State')).toBe(state);
    expect(notified.tag('From')).toBe(accepted.tag('To'));
    expect(rig.agent.stats().dialogs).toBe(1);
    respond(peer, notified, '200 OK');
    await sent;
  }
  await nothingLeft();
});

test('or until a NOTIFY finds nobody', async () => {
  const call = new PeerCall(peer, rig.port('udp'));
  call.send('SUBSCRIBE', { headers: ['Event: presence', 'Expires: 900'] });
  const sent = notify(await subscribed, 'active');
  respond(peer, await peer.next('NOTIFY'), '481 Subscription does not exist');
  await sent;
  await nothingLeft();
});

test('or until it expires', async () => {
  await subscribe('Expires: 1');
  expect(rig.agent.stats().dialogs).toBe(1);
  await vi.waitFor(() => expect(rig.agent.stats().dialogs).toBe(0));
});

test('or until its client is gone, who sends no BYE', async () => {
  await subscribe('Expires: 900');
  await rig.disconnectClient();
  await nothingLeft();
  expect(peer.count('BYE')).toBe(0);
});
