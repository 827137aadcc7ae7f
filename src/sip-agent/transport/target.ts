import type { TransportProtocol } from './flow.js';
import { parseSipUri } from '../syntax/uri.js';

/** RFC 3261 section 18.2.1. */
export const DEFAULT_PORTS: Readonly<Record<TransportProtocol, number>> = { udp: 5060, tcp: 5060, tls: 5061 };

/** The target of a request by its URI (RFC 3263 section 4), before its name is looked up. */
export interface RequestTarget {
  readonly host: string;
  readonly port?: number;
  /** The transport the URI asks for; absent when it names none. */
  readonly protocol?: TransportProtocol;
}

/**
 * The target of a request to `uri`: its maddr or host, its port, its transport (RFC 3263 section 4). Throws an Error when no
 * request can be sent to that URI.
 */
export function targetOf(uri: string): RequestTarget {
  const parsed = parseSipUri(uri);
  if (!parsed || parsed.host === '') throw new Error(`invalid request-uri: ${uri}`);
  const { scheme, port, params } = parsed;
  const protocol = protocolOf(scheme === 'sips', params.get('transport')?.toLowerCase());
  return {
    host: params.get('maddr') ?? parsed.host,
    ...(port === undefined ? undefined : { port }),
    ...(protocol === undefined ? undefined : { protocol }),
  };
}

/** RFC 3261 section 26.2.2: "sips" means TLS, also with "transport=tcp". */
function protocolOf(secure: boolean, transport: string | undefined): TransportProtocol | undefined {
  if (secure && (transport === undefined || transport === 'tcp')) return 'tls';
  if (transport === undefined || transport === 'tls') return transport;
  if (!secure && (transport === 'udp' || transport === 'tcp')) return transport;
  throw new Error('requested protocol/transport not available');
}
