import { X509Certificate, createPrivateKey } from 'node:crypto';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { cpus } from 'node:os';
import { connect, createServer } from 'node:tls';
import { describe, expect, it } from 'vitest';
import { systemClock } from '../../../src/clock.js';
import { selfSignedCertificate } from '../../../src/cli/self-signed.js';
import { mostMeasurable, propose, roundedDown, signsOfLimit } from '../../../src/cli/capacity/estimate.js';
import { measureCapacity, type Capacity } from '../../../src/cli/capacity/measure.js';
import { busyPercent } from '../../../src/cli/capacity/machine-load.js';
import { capacityJson, capacityText, othersText, stepText } from '../../../src/cli/capacity/report.js';
import type { LoadResult } from '../../../src/load/load-run.js';

interface Machine {
  readonly cores: number;
  /** Percent of a core for each call. */
  readonly main?: number;
  readonly media?: number;
  readonly generator?: number;
  /** More calls than these lose packets, or make the generator late. */
  readonly losesFrom?: number;
  readonly lateFrom?: number;
}

const spread = (p99: number): LoadResult['pacingMs'] => ({ n: 1_000, p50: p99 / 4, p95: p99 / 2, p99, max: 2 * p99 });

/** What so many calls come to on a machine whose calls all cost the same. */
function resultOf(calls: number, machine: Machine): LoadResult {
  const { main = 0.05, media = 0.2, generator = 0.2, losesFrom = Infinity, lateFrom = Infinity } = machine;
  const isLate = calls >= lateFrom;
  return {
    calls,
    failed: 0,
    cpuPerCall: { total: main + media, mainThread: main, otherThreads: media },
    residentMb: { before: 90, after: 90 + 0.125 * calls },
    setUpMs: spread(5),
    uplinkMs: spread(2),
    silenceMs: spread(20),
    pacingMs: spread(isLate ? 15 : 2),
    lost: { toCaller: calls >= losesFrom ? 7 : 0, toAgent: 0 },
    generator: { cpuPercent: generator * calls, lateMs: spread(isLate ? 15 : 1), isValid: !isLate },
  };
}

/** The steps taken on a machine, and what they came to. */
async function capacityOf(machine: Machine, mostCalls = Infinity): Promise<Capacity & { calls: number[] }> {
  const calls: number[] = [];
  const capacity = await measureCapacity({
    cores: machine.cores,
    mostCalls,
    measure: (count) => {
      calls.push(count);
      return Promise.resolve(resultOf(count, machine));
    },
    onStep: () => undefined,
  });
  return { ...capacity, calls };
}

describe('the proposal', () => {
  it('leaves each media thread 40 % of its core', () =>
    expect(propose({ mainThread: 0.05, otherThreads: 0.2 }, 2)).toEqual({
      maxConcurrent: 300,
      workers: 1,
      fills: 'media threads',
    }));

  it('leaves a quarter of the machine', () => {
    expect(propose({ mainThread: 0.05, otherThreads: 0.2 }, 1)).toMatchObject({ maxConcurrent: 300, workers: 1 });
    expect(propose({ mainThread: 0.2, otherThreads: 0.2 }, 1)).toEqual({
      maxConcurrent: 180,
      workers: 1,
      fills: 'machine',
    });
  });

  it('has no more media threads than the main thread can keep busy', () =>
    expect(propose({ mainThread: 0.05, otherThreads: 0.2 }, 16)).toEqual({
      maxConcurrent: 1_200,
      workers: 4,
      fills: 'main thread',
    }));

  it('is rounded down to what is known, and never nothing', () => {
    expect([1_299, 279, 99.9, 7.9, 0.3].map(roundedDown)).toEqual([1_200, 270, 99, 7, 1]);
    expect(propose({ mainThread: 90, otherThreads: 100 }, 1)).toMatchObject({ maxConcurrent: 1, workers: 1 });
  });
});

describe('what a step shows', () => {
  it('is a limit for each thing that went wrong', () => {
    const carried = resultOf(100, { cores: 2 });
    expect(signsOfLimit(carried, 1)).toEqual([]);
    expect(signsOfLimit({ ...carried, failed: 2 }, 1)).toEqual(['2 calls failed']);
    expect(signsOfLimit({ ...carried, lost: { toCaller: 1, toAgent: 2 } }, 1)).toEqual(['3 packets lost']);
    expect(signsOfLimit({ ...carried, pacingMs: spread(10.4) }, 1)).toEqual(['packets 10.4 ms off (p99)']);
    expect(signsOfLimit(resultOf(400, { cores: 2 }), 1)).toEqual(['media threads 80 % busy']);
    expect(signsOfLimit(resultOf(400, { cores: 3 }), 2)).toEqual([]);
  });

  it('bounds the next one by what bridge and callers can do together', () => {
    expect(mostMeasurable(resultOf(50, { cores: 8, generator: 0.35 }), 8)).toBe(200);
    expect(mostMeasurable(resultOf(50, { cores: 1, generator: 0.35 }), 1)).toBe(140);
  });
});

describe('the measurement', () => {
  it('goes to the calls it is going to propose', async () => {
    const { calls, heldCalls, proposal } = await capacityOf({ cores: 2 });
    expect(calls).toEqual([50, 300]);
    expect([heldCalls, proposal.maxConcurrent, proposal.workers]).toEqual([300, 300, 1]);
  });

  it('computes what the callers on the same machine cannot place', async () => {
    const { calls, heldCalls, proposal } = await capacityOf({ cores: 8, generator: 0.35 });
    expect(calls).toEqual([50, 200]);
    expect([heldCalls, proposal.maxConcurrent, proposal.workers]).toEqual([200, 1_200, 4]);
  });

  it('proposes nothing that was seen to be too much', async () => {
    const { calls, heldCalls, proposal } = await capacityOf({ cores: 2, losesFrom: 200 });
    expect(calls).toEqual([50, 300, 180]);
    expect([heldCalls, proposal.maxConcurrent]).toEqual([180, 180]);
  });

  it('takes what it knows when the callers are late', async () => {
    const { calls, heldCalls, proposal, steps } = await capacityOf({ cores: 2, lateFrom: 200 });
    expect(calls).toEqual([50, 300]);
    expect(steps.map(({ verdict }) => verdict)).toEqual(['held', 'generator']);
    expect([heldCalls, proposal.maxConcurrent]).toEqual([50, 300]);
  });

  it('goes down on a machine that cannot carry the first step', async () => {
    const { calls, heldCalls, proposal } = await capacityOf({ cores: 1, media: 1.5, main: 0.5, losesFrom: 25 });
    expect(calls).toEqual([50, 30, 18]);
    expect([heldCalls, proposal.maxConcurrent]).toEqual([18, 18]);
    const never = await capacityOf({ cores: 1, losesFrom: 1 });
    expect([never.heldCalls, never.proposal.maxConcurrent]).toEqual([0, 10]);
  });

  it('holds nobody but the bridge to account for calls that failed', async () => {
    const capacity = await measureCapacity({
      cores: 2,
      mostCalls: 50,
      measure: (calls) => {
        const late = { cpuPercent: 0, lateMs: spread(NaN), isValid: false };
        return Promise.resolve({
          ...resultOf(calls, { cores: 2, media: 0, main: -0.1 }),
          failed: calls,
          generator: late,
        });
      },
      onStep: () => undefined,
    });
    expect(capacity.steps.map(({ verdict, signs }) => [verdict, signs])).toEqual([
      ['limit', ['50 calls failed']],
      ['limit', ['30 calls failed']],
      ['limit', ['18 calls failed']],
    ]);
    expect([capacity.heldCalls, capacity.proposal.maxConcurrent]).toEqual([0, 1]);
    expect(roundedDown(NaN)).toBe(1);
  });

  it('places no more calls than it may', async () => {
    const { calls, proposal } = await capacityOf({ cores: 2 }, 4);
    expect(calls).toEqual([4]);
    expect(proposal.maxConcurrent).toBe(300);
  });
});

describe('the report', () => {
  it('ends with lines for the configuration', async () => {
    const facts = { ...(await capacityOf({ cores: 2 })), cores: 2, othersPercent: 1, g722Percent: 0.2 };
    expect(capacityText(facts)).toBe(`
A call takes 0.25 % of a core, 0.05 % on the main thread and 0.20 % on media threads, and 0.13 MB.
An idle bridge takes 90 MB.
Measured: 300 calls at once were carried, by 1 media thread.

call:
  maxConcurrent: 300
media:
  workers: 1

That leaves 40 % of every thread and a quarter of the 2 cores; the media threads would be full first.
Callers who choose G.722 take up to 0.20 % more each: 150, with 1 media thread, if all of them do.
`);
    expect(capacityJson(facts)).toMatchObject({
      proposal: { call: { maxConcurrent: 300 }, media: { workers: 1 } },
      source: 'measured',
      g722: { maxConcurrent: 150 },
    });
  });

  it('says what was computed, and what could not be carried', async () => {
    const computed = {
      ...(await capacityOf({ cores: 2, lateFrom: 200 })),
      cores: 2,
      othersPercent: 1,
      g722Percent: 0.2,
    };
    expect(capacityText(computed)).toContain(
      'Measured with 50 calls at once on 1 media thread, computed from their CPU beyond',
    );
    expect(capacityJson(computed)).toMatchObject({ source: 'computed' });
    expect(computed.steps.map((step) => stepText(step, 2))).toEqual([
      '   50 calls: 0.25 % of a core each, media threads 10 % busy, RTP p99 2.0 ms off, callers 10 % of a core. carried\n',
      expect.stringContaining('were late: this says nothing of the bridge\n'),
    ]);
    const never = { ...(await capacityOf({ cores: 2, losesFrom: 1 })), cores: 2, othersPercent: 1, g722Percent: 0.2 };
    expect(capacityText(never)).toContain('No step could be carried');
    expect(capacityText(never)).not.toContain('maxConcurrent');
    expect(capacityJson(never)).toMatchObject({ proposal: null });
  });
});

describe('the rest of the machine', () => {
  it('is warned of when it is busy', async () => {
    expect(othersText(9)).toBe('');
    expect(othersText(42.4)).toContain('42 %');
    // A core that this test keeps busy cannot be missed.
    const watching = busyPercent(systemClock, 100);
    const startedAtMs = performance.now();
    while (performance.now() - startedAtMs < 150);
    const percent = await watching;
    expect(percent).toBeGreaterThan(40 / cpus().length);
    expect(percent).toBeLessThanOrEqual(100);
  });
});

describe('the certificate', () =>
  it('is for 127.0.0.1, and another each time', async () => {
    const { key, cert } = await selfSignedCertificate('127.0.0.1');
    const certificate = new X509Certificate(cert);
    expect(certificate.checkIP('127.0.0.1')).toBe('127.0.0.1');
    expect(certificate.verify(certificate.publicKey)).toBe(true);
    expect(certificate.checkPrivateKey(createPrivateKey(key))).toBe(true);
    const server = createServer({ key, cert }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const trusting = connect({ host: '127.0.0.1', port, ca: cert });
    await once(trusting, 'secureConnect');
    expect(trusting.authorized).toBe(true);
    const other = connect({ host: '127.0.0.1', port, ca: (await selfSignedCertificate('127.0.0.1')).cert });
    await expect(once(other, 'secureConnect')).rejects.toThrow(/self-signed|unable to verify|signature/);
    trusting.destroy();
    server.close();
    await once(server, 'close');
  }));
