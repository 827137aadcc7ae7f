import { randomBytes } from 'node:crypto';
import { systemClock } from '../../clock.js';
import type { BridgeConfig } from '../../config/types.js';
import type { Logger } from '../../logger.js';
import type { Finding } from '../../ops/preflight.js';
import { DrachtioSipEndpoint } from '../../signaling/drachtio/drachtio.js';
import { fetchBindings } from '../../signaling/registration/registrar-query.js';
import { SipAgent } from '../../sip-agent/index.js';

/**
 * Asks every registrar of `sip.registrations` for our bindings, with our credentials: nothing is bound or unbound, so that a
 * running bridge keeps its own. From a port of its own, and with the certificate of `sip.tls` where there is one.
 */
export async function checkRegistrars({ sip }: BridgeConfig, logger: Logger): Promise<Finding[]> {
  if (sip.registrations.length === 0) return [];
  const secret = randomBytes(16).toString('hex');
  const tls = sip.tls && { cert: sip.tls.certPem, key: sip.tls.keyPem, ca: sip.tls.caPem };
  const agent = new SipAgent({
    listen: ['udp://0.0.0.0:0', 'tcp://0.0.0.0:0', ...(tls ? ['tls://0.0.0.0:0'] : [])],
    ...(tls && { tls: { ...tls, clientCertificate: 'never' } }),
    ...{ secret, clock: systemClock, logger },
  });
  const { wire } = await agent.start();
  const endpoint = new DrachtioSipEndpoint(
    { ...wire, secret, clock: systemClock, logger },
    {
      onInvite: (invite) => invite.reject({ status: 480, warning: 'The preflight takes no calls' }),
      onConnection: () => undefined,
    },
  );
  try {
    await endpoint.connect();
    return await Promise.all(
      sip.registrations.map(async (registration) => ({
        what: `registration ${registration.name}`,
        ...(await fetchBindings(registration, (request) => endpoint.send(request))),
      })),
    );
  } finally {
    endpoint.close();
    await agent.stop();
  }
}
