import { AgentSession, type AgentSessionOptions } from './agent-session.js';

export type ProbeOptions = Omit<AgentSessionOptions, 'reconnect'>;

/**
 * Opens an agent for real and leaves it again as soon as it is ready for audio: the key is good, the agent exists.
 * Never rejects; `detail` says how long it took or what was wrong.
 */
export function probeAgent(options: ProbeOptions): Promise<{ ok: boolean; detail: string }> {
  return new Promise((resolve) => {
    const reconnect = { maxAttempts: 0, initialDelayMs: 0, maxDelayMs: 0, keepMs: 0 };
    const session = new AgentSession(
      { ...options, reconnect },
      {
        onReady: ({ connectMs, startMs, format }) => {
          session.close();
          const started = format === 'pcm16k' ? 'start_media_streaming' : `ready for ${format}`;
          resolve({
            ok: true,
            detail: `connected in ${Math.round(connectMs)} ms, ${started} after ${Math.round(startMs)} ms`,
          });
        },
        onEnded: ({ detail }) => resolve({ ok: false, detail }),
        onFormat: () => undefined,
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
