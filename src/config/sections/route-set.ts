import type { FaultList } from '../faults.js';
import { showValue } from '../faults.js';
import { withoutPlus } from '../../addresses/number.js';
import type { Route, RouteMatch } from '../types.js';

/** A route as read; `name` is absent where the operator gave none. */
export type UnnamedRoute = Omit<Route, 'name'> & { readonly name?: string };

/**
 * The routes, each with a name of its own. A name given twice is a fault, and so is a route that no call can reach
 * because an earlier one takes every call it would match. `drafts` has a gap where an entry could not be read.
 */
export function distinct(drafts: readonly (UnnamedRoute | undefined)[], faults: FaultList): Route[] {
  noteRepeatedNames(drafts, faults);
  noteUnreachable(drafts, faults);
  const taken = new Set(drafts.flatMap((draft) => draft?.name ?? []));
  return drafts.flatMap((draft) => (draft ? [{ ...draft, name: draft.name ?? freeName(draft.match, taken) }] : []));
}

function noteRepeatedNames(drafts: readonly (UnnamedRoute | undefined)[], faults: FaultList): void {
  const first = new Map<string, number>();
  drafts.forEach((draft, index) => {
    if (draft?.name === undefined) return;
    const other = first.get(draft.name);
    if (other === undefined) first.set(draft.name, index);
    else
      faults.add({
        path: `routes[${index}].name`,
        message: `already used by routes[${other}]`,
        value: showValue(draft.name),
      });
  });
}

interface Seen {
  readonly index: number;
  readonly conditions: string;
}

function noteUnreachable(drafts: readonly (UnnamedRoute | undefined)[], faults: FaultList): void {
  const seen = new Map<string, Seen[]>();
  drafts.forEach((draft, index) => {
    if (!draft) return;
    const key = matchKey(draft.match);
    const conditions = draft.from || draft.header ? JSON.stringify([draft.from, draft.header]) : '';
    const earlier = seen.get(key) ?? [];
    const taker = earlier.find((other) => other.conditions === '' || other.conditions === conditions);
    if (taker)
      faults.add({
        path: `routes[${index}]`,
        message: `never taken: routes[${taker.index}] takes all its calls`,
        value: key,
      });
    else seen.set(key, [...earlier, { index, conditions }]);
  });
}

/** The same for any two routes that match the same numbers. */
function matchKey(match: RouteMatch): string {
  if ('did' in match) return `did ${withoutPlus(match.did)}`;
  if ('prefix' in match) return `prefix ${withoutPlus(match.prefix)}`;
  return 'pattern' in match ? `pattern ${match.pattern}` : 'default';
}

/** Two routes for one number, told apart by the caller, become `did:+15551234` and `did:+15551234#2`. */
function freeName(match: RouteMatch, taken: Set<string>): string {
  const base = derivedName(match);
  let name = base;
  for (let count = 2; taken.has(name); count++) name = `${base}#${count}`;
  taken.add(name);
  return name;
}

function derivedName(match: RouteMatch): string {
  if ('did' in match) return `did:${match.did}`;
  if ('prefix' in match) return `prefix:${match.prefix}`;
  return 'pattern' in match ? `pattern:${match.pattern}` : 'default';
}
