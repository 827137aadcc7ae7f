import { createServer, type Server } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { systemClock } from '../../src/clock.js';
import { askEventSocket, type EventSocketAddress } from '../../src/media/freeswitch/event-socket-probe.js';

/** Who speaks SIP and who carries the caller's RTP. */
export interface Engines {
  readonly sip: 'embedded' | 'drachtio';
  readonly media: 'embedded' | 'freeswitch';
}

export const COMBINATIONS: readonly Engines[] = [
  { sip: 'embedded', media: 'embedded' },
  { sip: 'embedded', media: 'freeswitch' },
  { sip: 'drachtio', media: 'embedded' },
  { sip: 'drachtio', media: 'freeswitch' },
];

/** Where the real servers are, as the environment says. */
const { DRACHTIO_HOST, DRACHTIO_PORT, DRACHTIO_SECRET, DRACHTIO_SIP } = process.env;
const { FREESWITCH_HOST, FREESWITCH_PORT, FREESWITCH_SECRET } = process.env;

export interface DrachtioAddress {
  readonly host: string;
  readonly port: number;
  readonly secret: string;
  /** `host:port` it takes SIP at. */
  readonly sip: string;
}

export const drachtio: DrachtioAddress = {
  host: DRACHTIO_HOST ?? '',
  port: Number(DRACHTIO_PORT ?? 9022),
  secret: DRACHTIO_SECRET ?? 'cymru',
  sip: DRACHTIO_SIP ?? '',
};

export const freeSwitch: EventSocketAddress = {
  host: FREESWITCH_HOST ?? '',
  port: Number(FREESWITCH_PORT ?? 8021),
  secret: FREESWITCH_SECRET ?? 'ClueCon',
};

/** Variables that a combination cannot be tried without. */
export function missingFor({ sip, media }: Engines): string[] {
  const needed = {
    ...(sip === 'drachtio' ? { DRACHTIO_HOST, DRACHTIO_SIP } : {}),
    ...(media === 'freeswitch' ? { FREESWITCH_HOST } : {}),
  };
  return Object.entries(needed).flatMap(([name, value]) => (value ? [] : [name]));
}

/** What a suite of this combination is called: says why it was not run, when it was not. */
export function titleOf(engines: Engines): string {
  const missing = missingFor(engines);
  const why = missing.length > 0 ? ` (not run: ${missing.join(' and ')} not set)` : '';
  return `sip.engine ${engines.sip}, media.engine ${engines.media}${why}`;
}

/** What a FreeSWITCH answers to an API command. */
export async function askFreeSwitch(command: string, at: EventSocketAddress = freeSwitch): Promise<string> {
  const { body } = await askEventSocket(at, command, { clock: systemClock, timeoutMs: 5_000 });
  return body;
}

/** Channels on a FreeSWITCH, whoever's they are. */
export async function channelsOn(at: EventSocketAddress = freeSwitch): Promise<number> {
  const answer = await askFreeSwitch('show channels count', at);
  const count = /(\d+) total/.exec(answer)?.[1];
  if (count === undefined) throw new Error(`show channels count: ${answer}`);
  return Number(count);
}

/** Held by the test file that has the servers for itself. */
const LOCK_PORT = 47_263;

/**
 * There is one drachtio-server and one FreeSWITCH, and test files run side by side: resolves when no other file uses
 * them, to a function that lets the next one have them. A file that dies lets go by dying.
 */
export async function serversToOurselves(): Promise<() => Promise<void>> {
  for (;;) {
    const lock = await listening();
    if (lock) return () => closed(lock);
    await sleep(100);
  }
}

function listening(): Promise<Server | undefined> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EADDRINUSE') resolve(undefined);
      else reject(error);
    });
    server.listen({ host: '127.0.0.1', port: LOCK_PORT }, () => resolve(server));
  });
}

function closed(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
  });
}
