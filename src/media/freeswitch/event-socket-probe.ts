import { connect } from 'node:net';
import type { Clock } from '../../clock.js';

/** More than any greeting or `sofia status`. */
const MAX_BYTES = 256 * 1024;

export interface EventSocketAddress {
  readonly host: string;
  readonly port: number;
  readonly secret: string;
}

/**
 * Logs in to FreeSWITCH's event socket, runs one API command and leaves; resolves to the answer, and to our address as
 * that FreeSWITCH reaches it. drachtio-fsmrf turns a refused connection into
 * a busy loop, a wrong password into a promise that never settles and a missing profile into an uncaught exception; so
 * all three are found out here first, each with a sentence of its own.
 */
export function askEventSocket(
  server: EventSocketAddress,
  command: string,
  options: { clock: Clock; timeoutMs: number },
): Promise<{ body: string; localAddress: string }> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: server.host, port: server.port, noDelay: true });
    let received = '';
    let authenticated = false;
    const settle = (error: Error | undefined, body = ''): void => {
      cancelTimer();
      const { localAddress = '' } = socket;
      socket.destroy();
      if (error) reject(error);
      else resolve({ body, localAddress });
    };
    const cancelTimer = options.clock.after(options.timeoutMs, () =>
      settle(new Error(`event socket: no answer within ${options.timeoutMs} ms`)),
    );
    // One character an octet, as Content-Length counts.
    socket.setEncoding('latin1');
    socket.on('error', (error) => settle(new Error(`event socket: ${error.message}`)));
    socket.on('close', () => settle(new Error('event socket: closed by FreeSWITCH')));
    socket.on('data', (text: string) => {
      received += text;
      if (received.length > MAX_BYTES) settle(new Error('event socket: answer too long'));
      for (let message = takeMessage(); message; message = takeMessage()) onMessage(message);
    });

    function takeMessage(): EventSocketMessage | undefined {
      const message = parseMessage(received);
      if (message) received = received.slice(message.length);
      return message;
    }

    function onMessage({ type, reply, body }: EventSocketMessage): void {
      if (type === 'text/rude-rejection') settle(new Error('event socket: refused by its access list'));
      else if (type === 'auth/request') socket.write(`auth ${server.secret}\n\n`);
      else if (type === 'api/response') settle(undefined, body);
      else if (type === 'command/reply' && !authenticated) {
        authenticated = reply.startsWith('+OK');
        if (authenticated) socket.write(`api ${command}\n\n`);
        else settle(new Error('event socket: wrong password'));
      }
    }
  });
}

interface EventSocketMessage {
  readonly type: string;
  readonly reply: string;
  readonly body: string;
  /** Characters taken from the buffer. */
  readonly length: number;
}

/** One message: headers, an empty line, and a body of Content-Length bytes. Undefined while it is not complete. */
function parseMessage(buffer: string): EventSocketMessage | undefined {
  const headEnd = buffer.indexOf('\n\n');
  if (headEnd < 0) return undefined;
  const headers = new Map<string, string>();
  for (const line of buffer.slice(0, headEnd).split('\n')) {
    const colon = line.indexOf(':');
    if (colon > 0) headers.set(line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim());
  }
  const bodyLength = Number(headers.get('content-length') ?? 0);
  const length = headEnd + 2 + bodyLength;
  if (!(bodyLength >= 0) || buffer.length < length) return undefined;
  const body = buffer.slice(headEnd + 2, length);
  return { type: headers.get('content-type') ?? '', reply: headers.get('reply-text') ?? '', body, length };
}
