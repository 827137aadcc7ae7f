import type { Route, Target } from '../../config/types.js';
import { describeTarget } from '../../pranthora/agent-target.js';

/**
 * The keys a target of a call in progress has in a new configuration: those of the same agent on the route of that
 * name, else of that route or any other at the same URL. A key is never taken to another URL than it is configured for.
 * Undefined when the new configuration has none of these.
 */
export function keysAfterReload(
  target: Target,
  routeName: string,
  routes: readonly Route[],
): readonly string[] | undefined {
  const ofRoute = routes.find(({ name }) => name === routeName)?.targets ?? [];
  const ofAll = (): readonly Target[] => routes.flatMap(({ targets }) => targets);
  const isSame = (other: Target): boolean => isAtUrlOf(other) && describeTarget(other) === describeTarget(target);
  const isAtUrlOf = (other: Target): boolean => other.url === target.url;
  return (ofRoute.find(isSame) ?? ofRoute.find(isAtUrlOf) ?? ofAll().find(isSame))?.apiKeys;
}
