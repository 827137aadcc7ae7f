import type { IncomingMessage } from 'node:http';
import type { SimulatorProtocol } from './simulator-session.js';
import type { AdmissionViolation } from './uplink-audit.js';

export const HANDSHAKE_PATH = '/api/call';
export const WEB_MEDIA_STREAM_PATH = '/api/call/web-media-stream';
const MEDIA_STREAM_PATH = /^\/api\/call\/media-stream\/(agents|workflows)\/([^/]+)$/;

/** Whom a client asked for: one of the two, or neither, or wrongly both. */
export interface AskedFor {
  readonly agentId?: string;
  readonly workflowId?: string;
}

export interface ClientRequest {
  readonly protocol: SimulatorProtocol;
  readonly asked: AskedFor;
  readonly query: URLSearchParams;
}

export interface Complaint {
  readonly kind: AdmissionViolation;
  readonly detail: string;
}

/** What an upgrade asks for; undefined when there is no such endpoint. */
export function readUpgrade(target: string, baseUrl: string): ClientRequest | undefined {
  const url = URL.canParse(target, baseUrl) ? new URL(target, baseUrl) : undefined;
  if (!url) return undefined;
  const query = url.searchParams;
  if (url.pathname === WEB_MEDIA_STREAM_PATH) {
    return { protocol: 'websocket', asked: askedFor(query.get('agent_id'), query.get('workflow_id')), query };
  }
  const [, kind, id = ''] = MEDIA_STREAM_PATH.exec(url.pathname) ?? [];
  if (kind === undefined) return undefined;
  const asked = kind === 'agents' ? askedFor(decoded(id), null) : askedFor(null, decoded(id));
  return { protocol: 'telephony', asked, query };
}

/** The telephony endpoint of an agent or a workflow. */
export function mediaStreamPath({ agentId, workflowId = '' }: AskedFor): string {
  const [kind, id] = agentId === undefined ? ['workflows', workflowId] : ['agents', agentId];
  return `/api/call/media-stream/${kind}/${encodeURIComponent(id)}`;
}

/** An empty value is as good as none. */
export function askedFor(agentId: unknown, workflowId: unknown): AskedFor {
  return {
    ...(typeof agentId === 'string' && agentId !== '' && { agentId }),
    ...(typeof workflowId === 'string' && workflowId !== '' && { workflowId }),
  };
}

/** What is wrong with the id. */
export function idComplaint({ agentId, workflowId }: AskedFor): Complaint | undefined {
  const ids = [agentId, workflowId].filter((id) => id !== undefined).length;
  if (ids === 1) return undefined;
  return { kind: 'agent-id', detail: ids === 0 ? 'neither agent_id nor workflow_id' : 'both agent_id and workflow_id' };
}

/** What is wrong with the key. @param apiKey the right one; any will do if undefined. */
export function keyComplaint(request: IncomingMessage, apiKey: string | undefined): Complaint | undefined {
  const key = request.headers['x-api-key'];
  if (key && key === (apiKey ?? key)) return undefined;
  return { kind: 'api-key', detail: key ? 'wrong x-api-key' : 'no x-api-key' };
}

export function keyInUrlComplaint(request: IncomingMessage, query: URLSearchParams): Complaint | undefined {
  const key = request.headers['x-api-key'];
  if (typeof key !== 'string' || ![...query.values()].includes(key)) return undefined;
  return { kind: 'api-key-in-url', detail: 'the API key belongs in the x-api-key header alone' };
}

/** Who is there: the address, and what it calls itself if it does. */
export function clientName({ socket, headers }: IncomingMessage): string {
  const agent = headers['user-agent'];
  return `${socket.remoteAddress ?? 'unknown'}${agent === undefined ? '' : ` (${agent.slice(0, 60)})`}`;
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
