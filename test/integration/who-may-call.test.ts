import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { DEMO_API_KEY, DEMO_NUMBER, demoConfig } from '../../src/cli/demo/config.js';
import { systemClock } from '../../src/clock.js';
import { startBridge } from '../../src/compose.js';
import type { BridgeConfig, SipConfig } from '../../src/config/types.js';
import { PranthoraSimulator } from '../../src/simulator/pranthora-simulator.js';
import { SipAgent } from '../../src/sip-agent/agent.js';
import { CollectingLogger } from '../support/agent-rig.js';
import { RecordingLogger } from '../support/recording-logger.js';
import { OFFER, PeerCall } from '../support/sip-call.js';
import { UdpPeer, type SipText } from '../support/sip-peer.js';

const SECRET = 'of the test';
const NOTHING_REFUSED = { lastMinutes: 5, forbidden: 0, scanners: 0, limited: 0, callsPerSource: 0 };

/** The agent on its own, letting everybody in and passing everything on: what drachtio-server is to the bridge. */
describe.each(['embedded', 'drachtio'] as const)('who may call a bridge with sip.engine %s', (engine) => {
  const logger = new RecordingLogger();
  let simulator: PranthoraSimulator;
  let server: SipAgent | undefined;
  let bridge: Awaited<ReturnType<typeof startBridge>>;
  let config: BridgeConfig;
  let port: number;
  const peers: UdpPeer[] = [];

  beforeEach(async () => {
    logger.lines.length = 0;
    simulator = new PranthoraSimulator({ apiKey: DEMO_API_KEY });
    const { url } = await simulator.start();
    const demo = demoConfig(url);
    let drachtio = demo.sip.drachtio;
    if (engine === 'drachtio') {
      const listen = ['udp://127.0.0.1:0'];
      server = new SipAgent({ listen, secret: SECRET, clock: systemClock, logger: new CollectingLogger() });
      const { wire, bound } = await server.start();
      drachtio = { ...wire, secret: SECRET };
      port = bound[0]?.port ?? 0;
    }
    config = { ...demo, sip: { ...demo.sip, engine, drachtio, allow: ['127.0.0.1'], scanners: ['sipcli'] } };
    bridge = await startBridge(config, { logger, version: '0' });
    if (engine === 'embedded') port = Number(bridge.sip[0]?.split(':').at(-1));
  });

  afterEach(async () => {
    await Promise.all(peers.splice(0).map((peer) => peer.close()));
    await bridge.stop();
    await server?.stop();
    server = undefined;
    await simulator.stop();
  });

  async function callFrom(address: string): Promise<PeerCall> {
    const peer = await UdpPeer.open({ address: '127.0.0.1', port }, address);
    peers.push(peer);
    return new PeerCall(peer, port);
  }

  const configure = (changed: Partial<SipConfig>): void => {
    config = { ...config, sip: { ...config.sip, ...changed } };
    bridge.configure(config);
  };

  /** Its final response. */
  async function invite(call: PeerCall, headers: string[] = []): Promise<SipText> {
    call.invite({ uri: `sip:${DEMO_NUMBER}@127.0.0.1:${port}`, headers, body: OFFER });
    const final = await finalOf(call);
    call.ack(final);
    return final;
  }

  async function finalOf({ peer, sequence }: PeerCall): Promise<SipText> {
    const isFinal = (message: SipText): boolean =>
      message.status >= 200 && message.header('CSeq') === `${sequence} INVITE`;
    await expect.poll(() => peer.received.some(isFinal), { timeout: 8_000 }).toBe(true);
    const final = peer.received.find(isFinal);
    if (!final) throw new Error('no final response');
    return final;
  }

  const refused = async (): Promise<unknown> => {
    const response = await fetch(`${bridge.http}/health`);
    return ((await response.json()) as { refused: unknown }).refused;
  };

  it('is changed by a reload, and those turned away are told why and counted', async () => {
    expect(await refused()).toEqual(NOTHING_REFUSED);
    const stranger = await callFrom('127.0.0.66');
    const first = await invite(stranger);
    expect([first.status, first.header('Warning')]).toEqual([
      403,
      '399 pranthora-sip-bridge "127.0.0.66 is not in sip.allow"',
    ]);
    const lines = logger.lines.filter(({ event }) => event === 'sip.forbidden');
    expect(lines).toMatchObject([
      { address: '127.0.0.66', method: 'INVITE', did: DEMO_NUMBER, setting: 'sip.allow', level: 'warn' },
    ]);
    expect(lines[0]?.['from']).toContain('peer');
    expect(await refused()).toEqual({ ...NOTHING_REFUSED, forbidden: 1 });
    configure({ allow: ['127.0.0.1', '127.0.0.64/26'] });
    const again = await callFrom('127.0.0.66');
    expect((await invite(again)).status).toBe(200);
    configure({ allow: ['127.0.0.1'] });
    // The call goes on: its source has been part of it.
    again.next('BYE');
    await again.peer.next('200 BYE');
    expect((await invite(await callFrom('127.0.0.66'))).status).toBe(403);
  });

  it('goes by the name of what calls, too, and that can be switched off', async () => {
    const scanner = await callFrom('127.0.0.1');
    const first = await invite(scanner, ['User-Agent: sipcli/v1.8']);
    expect([first.status, first.header('Warning')]).toEqual([
      403,
      '399 pranthora-sip-bridge "this User-Agent is in sip.scanners"',
    ]);
    expect(await refused()).toEqual({ ...NOTHING_REFUSED, scanners: 1 });
    expect(logger.lines.filter(({ event }) => event === 'sip.forbidden')).toMatchObject([
      { userAgent: 'sipcli/v1.8', setting: 'sip.scanners' },
    ]);
    const phone = await callFrom('127.0.0.1');
    expect((await invite(phone, ['User-Agent: SIPClient-macOS/0.1.0'])).status).toBe(200);
    phone.next('BYE');
    configure({ scanners: [] });
    const other = await callFrom('127.0.0.1');
    expect((await invite(other, ['User-Agent: sipcli/v1.8'])).status).toBe(200);
    other.next('BYE');
    await other.peer.next('200 BYE');
  });

  it('is bounded by sip.maxCallsPerSource', async () => {
    configure({ maxCallsPerSource: 1 });
    const first = await callFrom('127.0.0.1');
    expect((await invite(first)).status).toBe(200);
    const second = await invite(await callFrom('127.0.0.1'));
    expect([second.status, second.header('Retry-After'), second.header('Warning')]).toEqual([
      503,
      '5',
      '399 pranthora-sip-bridge "sip.maxCallsPerSource (1) reached"',
    ]);
    expect(logger.lines.filter(({ event }) => event === 'call.rejected')).toMatchObject([
      { reason: 'source_at_capacity', sipStatus: 503 },
    ]);
    expect(await refused()).toEqual({ ...NOTHING_REFUSED, callsPerSource: 1 });
    first.next('BYE');
    await first.peer.next('200 BYE');
    const third = await callFrom('127.0.0.1');
    expect((await invite(third)).status).toBe(200);
    third.next('BYE');
    await third.peer.next('200 BYE');
  });

  it('does not let an outsider into a call', async () => {
    const call = await callFrom('127.0.0.1');
    expect((await invite(call)).status).toBe(200);
    const outsider = await UdpPeer.open({ address: '127.0.0.1', port }, '127.0.0.66');
    peers.push(outsider);
    for (const method of ['INVITE', 'INFO', 'BYE']) {
      call.sequence += 1;
      const text = call.request(method, { body: method === 'INVITE' ? OFFER : '', contact: outsider.contact });
      outsider.send(text.replace(/^Via: \S+ [^;]+/m, `Via: SIP/2.0/${outsider.sentBy}`));
      await outsider.next(`403 ${method}`);
    }
    const live = (await (await fetch(`${bridge.http}/calls`)).json()) as { callId: string }[];
    expect(live.map(({ callId }) => callId)).toEqual([call.callId]);
    expect(await refused()).toEqual({ ...NOTHING_REFUSED, forbidden: 3 });
    call.next('BYE');
    // A SIP server forgets a dialog with the BYE it passes on, whatever becomes of that.
    await call.peer.next(engine === 'embedded' ? '200 BYE' : '481 BYE');
  });
});
