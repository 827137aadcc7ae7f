import type { Clock } from '../clock.js';
import type { Logger } from '../logger.js';
import { AgentSession } from './agent-session.js';

export interface ProbeOptions {
  /** Complete `ws:`/`wss:` URL including the agent's or workflow's id. */
  readonly url: string;
  readonly apiKey: string;
  readonly connectTimeoutMs: number;
  readonly startTimeoutMs: number;
  readonly clock: Clock;
  readonly logger: Logger;
}

/**
 * Opens an agent for real and leaves it again as soon as it asks for audio: the key is good, the agent exists.
 * Never rejects; `detail` says how long it took or what was wrong.
 */
export function probeAgent(options: ProbeOptions): Promise<{ ok: boolean; detail: string }> {
  return new Promise((resolve) => {
    const reconnect = { maxAttempts: 0, initialDelayMs: 0, maxDelayMs: 0, keepMs: 0 };
    const session = new AgentSession(
      { ...options, reconnect },
      {
        onReady: ({ connectMs, startMs }) => {
          session.close();
          resolve({
            ok: true,
            detail: `connected in ${Math.round(connectMs)} ms, start_media_streaming after ${Math.round(startMs)} ms`,
          });
        },
        onEnded: ({ detail }) => {
          resolve({ ok: false, detail });
        },
        onAudio: () => undefined,
        onInterruption: () => undefined,
        onMark: () => undefined,
        onReconnecting: () => undefined,
        onReconnected: () => undefined,
      },
    );
    session.connect();
  });
}
