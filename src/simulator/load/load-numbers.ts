/** A bridge under load has a route for each call, so that the agents know whose agent they are. */
const FIRST_NUMBER = 1_000;

/** The number a call is made to. */
export const loadNumber = (call: number): string => String(FIRST_NUMBER + call);

export const loadAgentId = (call: number): string => `load-${loadNumber(call)}`;

/** The call of a URL that ends with its agent's id; NaN of another. */
export const loadCallOf = (url: string): number => Number(/load-(\d+)$/.exec(url)?.[1]) - FIRST_NUMBER;
