import type { AgentMessageHandlers, AgentProtocol } from '../../../src/pranthora/protocols/protocol.js';

/** What one message comes out as: [handler, argument?] per call. */
export function decodedBy(protocol: AgentProtocol, message: string | Buffer, isBinary = false): unknown[][] {
  const calls: unknown[][] = [];
  const record =
    (name: string) =>
    (...args: unknown[]): void => {
      calls.push([name, ...args]);
    };
  const handlers: AgentMessageHandlers = {
    onMediaStart: record('start'),
    onAudio: record('audio'),
    onInterruption: record('interruption'),
    onMark: record('mark'),
    onHangup: record('hangup'),
    onError: record('error'),
    onReport: record('report'),
    onIgnored: record('ignored'),
  };
  protocol.decode(Buffer.from(message), isBinary, handlers);
  return calls;
}
