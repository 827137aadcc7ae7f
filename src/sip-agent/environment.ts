/** Stops a timer. Calling it twice, or after the timer has fired, does nothing. */
export type StopTimer = () => void;

/** The agent's only source of time: monotonic milliseconds. */
export interface AgentClock {
  nowMs(): number;
  /** Calls `fire` once, `delayMs` from now. */
  after(delayMs: number, fire: () => void): StopTimer;
}

/** The fields of one log line; `event` is its stable dotted name. */
export type AgentLogFields = Record<string, unknown> & { event: string };

/** The logging the agent needs. */
export interface AgentLogger {
  debug(fields: AgentLogFields): void;
  info(fields: AgentLogFields): void;
  warn(fields: AgentLogFields): void;
}

/** An error in words, also of a thrown value that is no Error. */
export function errorText(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
