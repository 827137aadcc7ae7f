import Srf from 'drachtio-srf';
import { systemClock } from '../../../src/clock.js';
import { SipAgent } from '../../../src/sip-agent/agent.js';
import type { SrfInstance, SrfRequest } from '../../../src/signaling/drachtio/srf-types.js';
import { ANSWER } from '../../support/sip-call.js';
import { SECRET, type FromServer } from './messages.js';

/**
 * A process that answers every INVITE at once: drachtio-srf on an agent in the same process, as in the bridge, or on the
 * drachtio-server whose port it is given. Says where it listens, and what has become of the calls when it is asked.
 */
const [, , wirePort] = process.argv;
const agent = wirePort === undefined ? newAgent() : undefined;

let answered = 0;
let unacknowledged = 0;

const srf = new Srf() as unknown as SrfInstance;
srf.on('error', fail);
srf.on('connect', fail);
srf.invite((request, response) => {
  srf.createUAS(request, response, { localSdp: ANSWER }, (error, dialog) => {
    if (!dialog) {
      fail(error);
      return;
    }
    answered++;
    // Without an ACK the server itself ends the call.
    dialog.on('destroy', (bye: SrfRequest) => {
      if (bye.source !== 'network') unacknowledged++;
    });
  });
});

const addresses = await agent?.start();
srf.connect({ host: '127.0.0.1', port: addresses?.wire.port ?? Number(wirePort), secret: SECRET });
tell({ sipPort: addresses?.bound[0]?.port });

process.on('message', () => {
  const { user, system } = process.cpuUsage();
  const dialogs = agent?.stats().dialogs;
  tell({ cpuMs: (user + system) / 1_000, answered, unacknowledged, dialogs });
});
process.on('disconnect', () => {
  process.exit();
});

function newAgent(): SipAgent {
  return new SipAgent({
    listen: ['udp://127.0.0.1:0'],
    secret: SECRET,
    clock: systemClock,
    logger: { debug: () => undefined, info: () => undefined, warn: () => undefined },
    // All calls come from one source.
    maxRequestsPerSec: 1_000_000,
  });
}

/** A benchmark of half the calls is none. */
function fail(error: unknown): void {
  if (error) throw error instanceof Error ? error : new Error(JSON.stringify(error));
}

function tell(message: FromServer): void {
  process.send?.(message);
}
