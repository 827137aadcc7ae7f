import { MAX_NUMBER_LENGTH, normaliseNumber, splitUri, withoutPlus } from '../../addresses/number.js';
import { compilePattern } from '../../config/sections/pattern.js';
import type { HeaderMatch, Route, RouteMatch } from '../../config/types.js';

/** What a call's route depends on. */
export interface RoutableCall {
  /** The number that was called, as it came: bare, or a SIP or tel URI. */
  readonly number: string;
  /** The caller: the URI of the From header. */
  readonly fromUri: string;
  /** The value of a header, by name in any case; undefined if the call has none. */
  header(name: string): string | undefined;
}

/** Whether a route takes a call, and the reason in words. */
export interface Consideration {
  readonly route: Route;
  readonly matched: boolean;
  readonly why: string;
}

export interface RouteChoice {
  /** Absent: no route takes this call. */
  readonly route?: Route;
  /** All routes in order of precedence; worked out when first asked for. The first that matched is `route`. */
  readonly considered: readonly Consideration[];
}

/** One condition of a route; `yes` and `no` complete the sentence "this route is (not) taken because …". */
interface Condition {
  readonly yes: string;
  readonly no: string;
  holds(call: PreparedCall): boolean;
}

interface Entry {
  readonly route: Route;
  readonly checks: readonly Condition[];
}

interface PreparedCall {
  /** Normalised; undefined if it is too long to be one. */
  readonly number: string | undefined;
  readonly digits: string | undefined;
  readonly from: Caller;
  header(name: string): string | undefined;
}

interface Caller {
  readonly user: string;
  readonly host: string;
}

const MAX_HEADER_LENGTH = 256;

/** Plans by the routes they were made of: a list of routes is immutable and serves many calls. */
const plans = new WeakMap<readonly Route[], readonly Entry[]>();

/**
 * The route of a call: first an exact `did`, then the longest `prefix`, then `pattern`s in order, then `default`;
 * among equals the one that stands first. A route whose `from` or `header` does not fit is passed over.
 */
export function selectRoute(routes: readonly Route[], call: RoutableCall): RouteChoice {
  const plan = planOf(routes);
  const prepared = prepare(call);
  const taken = plan.find((entry) => entry.checks.every((check) => check.holds(prepared)));
  let considered: readonly Consideration[] | undefined;
  return {
    ...(taken ? { route: taken.route } : {}),
    get considered() {
      return (considered ??= plan.map((entry) => consider(entry, prepared, taken)));
    },
  };
}

function planOf(routes: readonly Route[]): readonly Entry[] {
  const known = plans.get(routes);
  if (known) return known;
  // Array.prototype.sort is stable: routes of one rank keep their order.
  const entries = [...routes].sort((a, b) => rank(a.match) - rank(b.match)).map(compile);
  plans.set(routes, entries);
  return entries;
}

/** Lower comes first. */
function rank(match: RouteMatch): number {
  if ('did' in match) return 0;
  if ('prefix' in match) return 1 + MAX_NUMBER_LENGTH - withoutPlus(match.prefix).length;
  return 'pattern' in match ? 2 + MAX_NUMBER_LENGTH : 3 + MAX_NUMBER_LENGTH;
}

function compile(route: Route): Entry {
  const checks = [matchCheck(route.match)];
  if (route.from) checks.push(fromCheck(route.from));
  if (route.header) checks.push(headerCheck(route.header));
  return { route, checks };
}

function matchCheck(match: RouteMatch): Condition {
  if ('did' in match) {
    const digits = withoutPlus(match.did);
    return check(`the number is ${match.did}`, `the number is not ${match.did}`, (call) => call.digits === digits);
  }
  if ('prefix' in match) {
    const { prefix } = match;
    const digits = withoutPlus(prefix);
    const holds = (call: PreparedCall): boolean => call.digits?.startsWith(digits) === true;
    return check(`the number begins with ${prefix}`, `the number does not begin with ${prefix}`, holds);
  }
  if ('pattern' in match) {
    const pattern = compilePattern(match.pattern);
    const holds = ({ number }: PreparedCall): boolean => number !== undefined && pattern.test(number);
    return check(`the number matches ${match.pattern}`, `the number does not match ${match.pattern}`, holds);
  }
  return check('it takes any number', '', () => true);
}

function fromCheck(callers: readonly string[]): Condition {
  const matchers = callers.map(callerMatcher);
  const list = callers.join(', ');
  return check(`the caller is among ${list}`, `the caller is not among ${list}`, (call) =>
    matchers.some((matches) => matches(call.from)),
  );
}

/** `+1555…`, `alice`, `alice@host`, `*@host`, or a beginning such as `+1555*`. */
function callerMatcher(text: string): (caller: Caller) => boolean {
  if (text.startsWith('*@')) {
    const host = text.slice(2).toLowerCase();
    return (caller) => caller.host === host;
  }
  if (text.endsWith('*')) {
    const beginning = comparableUser(text.slice(0, -1));
    return (caller) => caller.user.startsWith(beginning);
  }
  const { user, host } = callerOf(text);
  return (caller) => caller.user === user && (host === '' || caller.host === host);
}

function headerCheck({ name, value, pattern }: HeaderMatch): Condition {
  const wanted = value === undefined ? `matches ${pattern ?? ''}` : `is "${value}"`;
  const unwanted = value === undefined ? `does not match ${pattern ?? ''}` : `is not "${value}"`;
  const expression = pattern === undefined ? undefined : compilePattern(pattern);
  return check(`header ${name} ${wanted}`, `header ${name} ${unwanted}`, (call) => {
    const given = call.header(name)?.trim();
    if (given === undefined || given.length > MAX_HEADER_LENGTH) return false;
    return expression ? expression.test(given) : given === value;
  });
}

function check(yes: string, no: string, holds: Condition['holds']): Condition {
  return { yes, no, holds };
}

function prepare(call: RoutableCall): PreparedCall {
  const normalised = normaliseNumber(call.number);
  const number = normalised.length > MAX_NUMBER_LENGTH ? undefined : normalised;
  return {
    number,
    digits: number === undefined ? undefined : withoutPlus(number),
    from: callerOf(call.fromUri),
    header: (name) => call.header(name),
  };
}

function callerOf(uri: string): Caller {
  const { user, host } = splitUri(uri);
  return { user: comparableUser(user), host };
}

function comparableUser(user: string): string {
  return withoutPlus(normaliseNumber(user));
}

function consider(entry: Entry, call: PreparedCall, taken: Entry | undefined): Consideration {
  const { route, checks } = entry;
  const failed = checks.find((condition) => !condition.holds(call));
  if (failed) {
    const why =
      call.number === undefined ? `${failed.no} (it has more than ${MAX_NUMBER_LENGTH} characters)` : failed.no;
    return { route, matched: false, why };
  }
  const why = checks.map((condition) => condition.yes).join(' and ');
  const later = taken && taken !== entry ? `, but ${taken.route.name} comes first` : '';
  return { route, matched: true, why: why + later };
}
