import { describe, expect, it } from 'vitest';
import type { CapabilityQuery } from '../../src/signaling/sip-endpoint.js';
import { CallBench, route } from './call-bench.js';

function query(uri: string): CapabilityQuery {
  const address = { uri, user: '' };
  const from = { uri: 'sip:monitor@192.0.2.7', user: 'monitor' };
  return {
    ...{ from, to: address, requestUri: address, header: () => undefined },
    source: { address: '192.0.2.7', port: 5060, protocol: 'udp' },
  };
}

describe('OPTIONS', () => {
  const routes = [route({ match: { did: '15551234' } })];

  it.each([
    ['sip:192.0.2.1', undefined],
    ['sip:bridge.example:5060;transport=tcp', undefined],
    ['sip:ping@192.0.2.1', undefined],
    ['sip:+15551234@192.0.2.1', undefined],
    ['sip:15551234@192.0.2.1;user=phone', undefined],
    ['sip:4999@192.0.2.1', 404],
    ['tel:+4999', 404],
  ])('%s: %s', (uri, status) =>
    expect(new CallBench({ routes }).controller.refusalOf(query(uri))?.status).toBe(status),
  );

  it('is 503 with Retry-After while no call is taken', async () => {
    const full = new CallBench({ routes, maxConcurrent: 1 });
    full.receive();
    for (const uri of ['sip:192.0.2.1', 'sip:15551234@192.0.2.1']) {
      expect(full.controller.refusalOf(query(uri))).toMatchObject({ status: 503, retryAfterSec: 5 });
    }
    const draining = new CallBench({ routes });
    await draining.controller.drain();
    expect(draining.controller.refusalOf(query('sip:192.0.2.1'))).toMatchObject({ status: 503, retryAfterSec: 5 });
  });

  it('is 503 for a route that is full, while others are not', () => {
    const bench = new CallBench({
      routes: [route({ name: 'one', match: { did: '15551234' }, maxConcurrent: 1 }), route({ match: { did: '222' } })],
    });
    bench.receive();
    const statusOf = (uri: string) => bench.controller.refusalOf(query(uri))?.status;
    expect(['sip:15551234@x', 'sip:222@x', 'sip:x'].map(statusOf)).toEqual([503, undefined, undefined]);
  });
});
