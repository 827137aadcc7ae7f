import { lookup } from 'node:dns/promises';
import { isIP } from 'node:net';
import type { TransportProtocol } from './flow.js';
import { parseSipUri } from './uri.js';

const DEFAULT_PORT = 5060;

/** Where a URI says a request goes, before its name is looked up. */
export interface Target {
  readonly host: string;
  readonly port: number;
  /** What the URI asks for; absent when it leaves the choice to us. */
  readonly protocol?: TransportProtocol;
}

/**
 * The target of a request to `uri` (RFC 3263, without NAPTR and SRV): its maddr or host, its port or 5060, its transport.
 * Throws an Error that says what is wrong when nothing can be sent there.
 */
export function targetOf(uri: string): Target {
  const parsed = parseSipUri(uri);
  if (!parsed || parsed.host === '') throw new Error(`invalid request-uri: ${uri}`);
  if (parsed.scheme !== 'sip') throw new Error(`${parsed.scheme} is not supported yet`);
  const host = parsed.params.get('maddr') ?? parsed.host;
  const protocol = parsed.params.get('transport')?.toLowerCase();
  if (protocol !== undefined && protocol !== 'udp' && protocol !== 'tcp') {
    throw new Error('requested protocol/transport not available');
  }
  return { host, port: parsed.port ?? DEFAULT_PORT, ...(protocol === undefined ? undefined : { protocol }) };
}

/** The address of a host, at once when it is one. Rejects when the name is not known. */
export function addressOf(host: string): string | Promise<string> {
  return isIP(host) ? host : lookup(host).then(({ address }) => address);
}
