import type { BridgeConfig } from '../../config/types.js';

export const DEMO_NUMBER = '+15550100';
export const DEMO_AGENT = 'demo-agent';
export const DEMO_API_KEY = 'demo-key-of-no-value';

/** A bridge on loopback, on whatever ports are free, with one number for one agent of the simulator's. */
export function demoConfig(pranthoraUrl: string): BridgeConfig {
  const server = { host: '127.0.0.1', port: 0, secret: '' };
  return {
    pranthora: {
      url: pranthoraUrl,
      connectTimeoutMs: 4_000,
      startTimeoutMs: 4_000,
      customParameters: { from: true, fromName: true, assertedIdentity: true, to: true, did: true, sipCallId: true },
      sendCallId: true,
      reconnect: { maxAttempts: 8, initialDelayMs: 200, maxDelayMs: 5_000, keepMs: 400 },
    },
    sip: {
      engine: 'embedded',
      listen: ['udp://127.0.0.1:0'],
      didFrom: ['requestUri'],
      allow: ['127.0.0.0/8'],
      scanners: [],
      sessionTimer: { minSec: 90 },
      maxRequestsPerSec: 1_000,
      registrations: [],
      auth: undefined,
      drachtio: server,
    },
    media: {
      engine: 'embedded',
      bind: '127.0.0.1',
      ports: { min: 20_000, max: 29_999 },
      codecs: ['G722', 'PCMU', 'PCMA'],
      codecOrder: 'offer',
      workers: 0,
      reorderMs: 40,
      cushionMs: 200,
      dtmf: 'none',
      holdToAgent: 'silence',
      freeswitch: [],
    },
    call: {
      maxConcurrent: 10,
      maxDurationMs: 60_000,
      rtpTimeoutMs: 30_000,
      farewellMs: 10_000,
      settleMs: 400,
      transferTimeoutMs: 15_000,
    },
    http: { host: '127.0.0.1', port: 0 },
    log: { level: 'warn', pretty: true, redactNumbers: false, dtmfDigits: false },
    drainMs: 1_000,
    routes: [
      {
        name: 'demo',
        match: { did: DEMO_NUMBER },
        targets: [
          { agentId: DEMO_AGENT, mode: 'websocket', encoding: 'mulaw', apiKeys: [DEMO_API_KEY], url: pranthoraUrl },
        ],
        onAgentEnd: 'hangup',
      },
    ],
  };
}
