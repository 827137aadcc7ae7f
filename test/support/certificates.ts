import { readFileSync } from 'node:fs';
import type { SipAgentOptions } from '../../src/sip-agent/agent.js';
import type { TlsCredentials } from '../../src/sip-agent/transport/tls-sockets.js';

const read = (name: string): string => readFileSync(new URL(`../fixtures/tls/${name}`, import.meta.url), 'utf8');

/** For localhost, 127.0.0.1 and ::1; its own authority, and the only one it believes. */
export const LOOPBACK = {
  cert: read('loopback.crt'),
  key: read('loopback.key'),
  ca: read('loopback.crt'),
} as const satisfies TlsCredentials;

/** The same for pranthora.test. */
export const OTHER = {
  cert: read('pranthora.test.crt'),
  key: read('pranthora.test.key'),
  ca: read('pranthora.test.crt'),
} as const satisfies TlsCredentials;

/** An agent that speaks TLS and nothing else. */
export const SECURE: Partial<SipAgentOptions> = {
  listen: ['tls://127.0.0.1:0'],
  tls: { ...LOOPBACK, clientCertificate: 'never' },
};
