import type { IncomingMessage, ServerResponse } from 'node:http';
import { askedFor, clientName, idComplaint, keyComplaint, type AskedFor, type Complaint } from './client-request.js';

/** Plain JSON: what became of one `POST /api/call`. */
export interface HandshakeReport extends AskedFor {
  readonly client: string;
  readonly status: number;
  readonly complaints: readonly Complaint[];
}

export interface HandshakeEndpointOptions {
  readonly apiKey: string | undefined;
  /** The URL for an agent, or the status to refuse with. */
  readonly answer: (asked: AskedFor) => string | number;
  readonly report: (report: HandshakeReport) => void;
}

interface Outcome {
  readonly status: number;
  readonly body: object;
  readonly asked: AskedFor;
  readonly complaints: readonly Complaint[];
}

const MAX_BODY_BYTES = 64 * 1024;

/** Step 1 of the handshake (guide, "Integration Mode 2"): checks the request and says where to connect. */
export class HandshakeEndpoint {
  readonly #options: HandshakeEndpointOptions;

  constructor(options: HandshakeEndpointOptions) {
    this.#options = options;
  }

  handle(request: IncomingMessage, response: ServerResponse): void {
    const chunks: Buffer[] = [];
    let length = 0;
    request.on('data', (chunk: Buffer) => {
      length += chunk.length;
      if (length <= MAX_BODY_BYTES) chunks.push(chunk);
    });
    request.on('end', () => {
      const { status, body, asked, complaints } = this.#outcome(request, Buffer.concat(chunks));
      response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
      this.#options.report({ client: clientName(request), ...asked, status, complaints });
    });
  }

  #outcome(request: IncomingMessage, body: Buffer): Outcome {
    const asked = readBody(body);
    const isJson = request.headers['content-type']?.split(';')[0]?.trim() === 'application/json';
    const complaints = [
      keyComplaint(request, this.#options.apiKey),
      isJson && asked ? undefined : bodyComplaint(isJson),
      asked && idComplaint(asked),
    ].filter((complaint) => complaint !== undefined);
    const refuse = (status: number, detail: string): Outcome => ({
      status,
      body: { detail },
      asked: asked ?? {},
      complaints,
    });
    const [complaint] = complaints;
    if (complaint) return refuse(complaint.kind === 'api-key' ? 401 : 422, complaint.detail);
    const answer = this.#options.answer(asked ?? {});
    if (typeof answer === 'number') return refuse(answer, 'refused');
    return { status: 200, body: { websocket_url: answer }, asked: asked ?? {}, complaints };
  }
}

function bodyComplaint(isJson: boolean): Complaint {
  return { kind: 'handshake-body', detail: isJson ? 'the body is no JSON object' : 'no JSON content type' };
}

function readBody(body: Buffer): AskedFor | undefined {
  try {
    const value: unknown = JSON.parse(body.toString('utf8'));
    if (typeof value !== 'object' || value === null) return undefined;
    const { agent_id: agentId, workflow_id: workflowId } = value as Record<string, unknown>;
    return askedFor(agentId, workflowId);
  } catch {
    return undefined;
  }
}
