import { once } from 'node:events';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { AgentRig } from '../support/agent-rig.js';
import { FOREIGN_PHONE } from '../support/real-time.js';
import { ANSWER, OFFER } from '../support/sip-call.js';
import { answer, hangUp, type SrfRequest, type SrfResponse } from '../support/srf-client.js';
import { isInstalled, nextPorts, runSipp, type SippOptions, type SippResult } from '../support/tools.js';

/** Shorter than any session may be on a network; SESSION_EXPIRES_S=90 plays the same calls as long as they are there. */
const INTERVAL_S = Number(process.env['SESSION_EXPIRES_S'] ?? 4);
const TIMEOUT_S = 3 * INTERVAL_S + 20;

type PlayOptions = Pick<SippOptions, 'scenario'> & Partial<SippOptions>;

describe.skipIf(!isInstalled('sipp'))('sipp and the dialogs of the embedded agent', FOREIGN_PHONE, () => {
  let rig: AgentRig;

  beforeEach(async () => {
    rig = await AgentRig.start({ session: { minimumS: Math.min(INTERVAL_S, 90) } });
    await rig.withClient((srf) =>
      srf.invite((request, response) => {
        void take(request, response);
      }),
    );
  });

  afterEach(async () => {
    expect(rig.logger.events('sip.fault')).toEqual([]);
    await rig.close();
  });

  async function take(request: SrfRequest, response: SrfResponse): Promise<void> {
    if (request.uri.includes('reliable')) response.send(183, { headers: { Require: '100rel' }, body: ANSWER });
    // Not before the copy has come by the other way: a 200 first would be no fault.
    if (request.uri.includes('merged')) await vi.waitFor(() => expect(rig.agent.stats().serverTransactions).toBe(2));
    const dialog = await answer(rig.srf, request, response, ANSWER);
    if (!request.uri.includes('hangs-up')) return;
    await once(dialog, 'ack');
    await hangUp(dialog);
  }

  async function play(options: PlayOptions): Promise<SippResult> {
    const result = await runSipp({
      protocol: 'udp',
      port: rig.port('udp'),
      number: '1000',
      timeoutSec: TIMEOUT_S,
      ...options,
    });
    expect(result.exitCode, result.report).toBe(0);
    return result;
  }

  /** We call sipp, which ends the call unless `hangUpAtOnce`. */
  async function callSipp(
    options: PlayOptions,
    headers: Record<string, string>,
    hangUpAtOnce = false,
  ): Promise<SippResult> {
    const sipPort = await nextPorts();
    const calling = rig.srf.createUAC(`sip:sipp@127.0.0.1:${sipPort}`, { localSdp: OFFER, headers }, {});
    const [result] = await Promise.all([
      play({ ...options, sipPort }),
      calling.then((dialog) => (hangUpAtOnce ? hangUp(dialog) : undefined)),
    ]);
    return result;
  }

  async function expectNothingLeft(): Promise<void> {
    await vi.waitFor(() => expect(rig.agent.stats().dialogs).toBe(0));
  }

  test(
    'every way to keep a session, past three refreshes',
    async () => {
      const session = (suffix: string): string => `${INTERVAL_S}${suffix}`;
      const UPDATE = ', UPDATE';
      const caller = (scenario: string, name: string, suffix: string, supported: string, allowed = UPDATE) =>
        play({
          scenario,
          name,
          keys: { interval: INTERVAL_S, session: session(suffix), supported, allowed },
          talkMs: INTERVAL_S * 500,
        });
      const callee = (name: string, header: string) =>
        callSipp(
          { scenario: 'session-called-by-us', name, keys: { session: header } },
          { 'Session-Expires': session('') },
        );
      await Promise.all([
        caller('session-caller-refreshes', 'names-itself', ';refresher=uac', 'timer'),
        caller('session-caller-refreshes', 'names-nobody', '', 'timer'),
        caller('session-callee-updates', 'names-us', ';refresher=uas', 'timer'),
        caller('session-callee-updates', 'knows-no-timer', '', 'replaces'),
        caller('session-callee-reinvites', 'allows-no-update', ';refresher=uas', 'timer', ''),
        callee('we-are-named', `Session-Expires: ${session(';refresher=uac')}`),
        callee('nobody-is-named', `Session-Expires: ${session('')}`),
        callee('nothing-is-said', 'X-Session: none'),
      ]);
      await expectNothingLeft();
    },
    (TIMEOUT_S + 10) * 1_000,
  );

  test('a caller that requires reliable provisional responses', async () => {
    const { trace } = await play({ scenario: 'prack-caller', number: 'reliable' });
    const statuses = trace.filter(({ direction }) => direction === 'received').map(({ message }) => message.startLine);
    expect(statuses.filter((line) => line.includes(' 183 '))).toHaveLength(2);
    await expectNothingLeft();
  });

  test('a called party whose reliable provisional responses come twice and too early', async () => {
    const { trace } = await callSipp({ scenario: 'prack-callee' }, { Supported: '100rel' }, true);
    expect(trace.filter(({ message }) => message.method === 'PRACK' && message.status === 0)).toHaveLength(2);
    await expectNothingLeft();
  });

  test('a strict router', async () => {
    await play({ scenario: 'strict-route', number: 'hangs-up' });
    await expectNothingLeft();
  });

  test('a request that comes by two ways', async () => {
    await play({ scenario: 'merged-request', number: 'merged', retransmits: false });
    await expectNothingLeft();
  });
});
