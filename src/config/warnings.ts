import { isIP } from 'node:net';
import { cidrMatcher } from './cidr.js';
import type { BridgeConfig } from './types.js';

const isLoopback = cidrMatcher(['127.0.0.0/8', '::1']);

/** What is allowed but probably not meant, a sentence each. */
export function warningsAbout(config: BridgeConfig): string[] {
  return [...fewPorts(config), ...plainTransport(config)];
}

/** RTP takes an even port, RTCP the odd one after it (RFC 3550 §11). */
function fewPorts({ media, call }: BridgeConfig): string[] {
  const { min, max } = media.ports;
  const pairs = Math.floor((max + 1 - (min + (min % 2))) / 2);
  if (pairs >= call.maxConcurrent) return [];
  return [`media.ports: ${min}-${max} has room for ${pairs} calls, call.maxConcurrent is ${call.maxConcurrent}`];
}

function plainTransport({ pranthora, routes }: BridgeConfig): string[] {
  const urls = new Set([pranthora.url, ...routes.map((route) => route.url)]);
  return [...urls]
    .filter((url) => url.startsWith('ws:') && !isLocal(new URL(url).hostname))
    .map((url) => `${url}: the API key and the conversation travel unencrypted; wss: encrypts them`);
}

function isLocal(hostname: string): boolean {
  const address = hostname.replace(/^\[|\]$/g, '');
  return isIP(address) === 0 ? hostname === 'localhost' : isLoopback(address);
}
