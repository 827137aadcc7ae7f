import { expect, it } from 'vitest';
import { HealthReport } from '../../../src/ops/health.js';
import { CallBench, ENDINGS, route } from '../../call/call-bench.js';

/** Of a bridge on which all is well but for its calls. */
function healthOf(bench: CallBench): HealthReport {
  const report = new HealthReport(bench.controller, {
    clock: bench.clock,
    version: '1.2.3',
    media: () => ({ status: 'ok', detail: '' }),
    registrations: () => [],
    log: () => ({ status: 'ok', droppedLines: 0, detail: 'written' }),
    refused: () => ({ lastMinutes: 5, forbidden: 0, scanners: 0, limited: 0, callsPerSource: 0 }),
  });
  report.onSipConnection({ connected: true, detail: 'udp/127.0.0.1:5060' });
  bench.subscribe((event) => report.onCallEvent(event));
  return report;
}

it('/health has how the last agent tried was reached', async () => {
  const bench = new CallBench({ routes: [route()] });
  const report = healthOf(bench);
  const { dialog } = await bench.answered();
  bench.deliverEvents();
  expect(report.health()).toMatchObject({
    status: 'ok',
    components: { pranthora: { status: 'ok', detail: 'last agent connected in 121 ms' } },
  });
  bench.connecting();
  bench.bridge.agentEnded(ENDINGS.unreachable);
  bench.deliverEvents();
  expect(report.health()).toMatchObject({
    status: 'degraded',
    components: { pranthora: { status: 'degraded', detail: ENDINGS.unreachable.detail } },
  });
  dialog.end();
  await bench.expectAllOver();
});
