import { expect, it } from 'vitest';
import { runDemo } from '../../src/cli/demo/run.js';
import { createLog } from '../../src/ops/log.js';
import { measuresRealTime } from '../support/real-time.js';

measuresRealTime();

it('carries a conversation from end to end, and every check of the summary holds', async () => {
  const warnings: string[] = [];
  const { logger } = createLog({
    level: 'warn',
    pretty: false,
    redactNumbers: false,
    destination: { write: (line) => void warnings.push(line) },
  });
  const timeline: string[] = [];

  const { checks, recording } = await runDemo({ logger, print: (line) => void timeline.push(line) });

  const failed = checks.filter(({ held }) => !held).map(({ name, detail }) => `${name}: ${detail}`);
  expect(failed, timeline.join('\n')).toEqual([]);
  expect(checks).toHaveLength(9);
  expect(warnings).toEqual([]);
  expect(timeline.join('\n')).toMatch(/→ INVITE[^]*start_media_streaming[^]*← 200 OK[^]*sends stop[^]*→ BYE/);
  expect(recording.sent.length / recording.rateHz).toBeGreaterThan(10);
  expect(Math.abs(recording.sent.length - recording.heard.length)).toBeLessThan(recording.rateHz / 10);
}, 40_000);
