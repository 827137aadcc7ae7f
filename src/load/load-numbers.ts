/** A bridge under load has a route for each call, so that the agents know whose agent they are. */
const FIRST_NUMBER = 1_000;

/** The number a call is made to. */
export const loadNumber = (call: number): string => String(FIRST_NUMBER + call);

const loadAgentId = (call: number): string => `load-${loadNumber(call)}`;

/** The section `routes` of a bridge for so many calls. */
export function loadRoutes(calls: number, mode = 'websocket'): readonly Readonly<Record<string, string>>[] {
  return Array.from({ length: calls }, (_, call) => ({ did: loadNumber(call), agentId: loadAgentId(call), mode }));
}

/** The call of a URL that ends with its agent's id; NaN of another. */
export const loadCallOf = (url: string): number => Number(/load-(\d+)$/.exec(url)?.[1]) - FIRST_NUMBER;
