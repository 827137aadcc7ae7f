import { describe, expect, it } from 'vitest';
import type { Route, RouteMatch } from '../../../src/config/types.js';
import { selectRoute } from '../../../src/control/routing/dial-plan.js';
import type { RoutableCall } from '../../../src/control/routing/dial-plan.js';
import { agent } from '../../support/targets.js';

function route(name: string, match: RouteMatch, conditions: Pick<Route, 'from' | 'header'> = {}): Route {
  return {
    name,
    match,
    ...conditions,
    targets: [agent(name)],
    onAgentEnd: 'hangup',
  };
}

function call(
  number: string,
  fromUri = 'sip:alice@pbx.example.com',
  headers: Record<string, string> = {},
): RoutableCall {
  return { number, fromUri, header: (name) => headers[name] };
}

const nameFor = (routes: readonly Route[], ...of: Parameters<typeof call>): string | undefined =>
  selectRoute(routes, call(...of)).route?.name;

describe('precedence', () => {
  const routes = [
    route('any', { default: true }),
    route('second pattern', { pattern: '^\\+4930' }),
    route('short', { prefix: '+49' }),
    route('first pattern', { pattern: '7$' }),
    route('long', { prefix: '4930' }),
    route('exact', { did: '+49301234' }),
    route('last pattern', { pattern: '^\\+337$' }),
  ];

  it.each([
    ['+49301234', 'exact'],
    ['+493012345', 'long'],
    ['+4989', 'short'],
    ['+337', 'first pattern'],
    ['+33', 'any'],
    ['alice', 'any'],
  ])('%s takes the route "%s"', (number, name) => expect(nameFor(routes, number)).toBe(name));

  it('takes none where nothing matches', () => {
    const { route: taken, considered } = selectRoute([route('exact', { did: '100' })], call('101'));
    expect(taken).toBeUndefined();
    expect(considered.map(({ matched, why }) => [matched, why])).toEqual([[false, 'the number is not 100']]);
  });
});

describe('numbers', () => {
  const routes = [route('exact', { did: '+15551234' })];

  it.each([
    '+15551234',
    '15551234',
    ' +1 (555) 12-34 ',
    '+1.555.1234',
    'sip:+15551234@bridge.example:5060;user=phone',
    'sip:%2B15551234@bridge.example',
    'sips:+1-555-1234;phone-context=x@bridge.example',
    '"Sales" <sip:+15551234@bridge.example>;tag=1',
    'tel:+1-555-1234;ext=5',
    'sip:15551234',
  ])('%s is +15551234', (number) => expect(nameFor(routes, number)).toBe('exact'));

  it.each(['+155512345', '+1555123', '', 'sip:@host', 'sip:%E0%A4%A@host', '<', '++15551234'])('%j is not', (number) =>
    expect(nameFor(routes, number)).toBeUndefined(),
  );

  it('compares names as they are, hyphens included', () => {
    const named = [route('support', { did: 'help-desk' })];
    expect(nameFor(named, 'sip:help-desk@bridge')).toBe('support');
    expect(nameFor(named, 'sip:helpdesk@bridge')).toBeUndefined();
  });

  it('shows a pattern the number with its plus, if it came with one', () => {
    const strict = [route('plus', { pattern: '^\\+1' })];
    expect(nameFor(strict, '+1 555')).toBe('plus');
    expect(nameFor(strict, '1555')).toBeUndefined();
  });

  it('matches no number longer than 64 characters except by default, and says so', () => {
    const long = '1'.repeat(65);
    const plan = [
      route('pattern', { pattern: '^1' }),
      route('prefix', { prefix: '1' }),
      route('any', { default: true }),
    ];
    const choice = selectRoute(plan, call(long));
    expect(choice.route?.name).toBe('any');
    expect(choice.considered[0]?.why).toBe('the number does not begin with 1 (it has more than 64 characters)');
    expect(nameFor(plan, '1'.repeat(64))).toBe('prefix');
  });
});

describe('conditions', () => {
  it.each([
    ['+15551234', 'sip:+15551234@any.example', true],
    ['+15551234', 'sip:15551234@any.example', true],
    ['+15551234', 'sip:+15551235@any.example', false],
    ['+1555*', 'sip:+15559999@any.example', true],
    ['+1555*', 'sip:+1556@any.example', false],
    ['alice', 'sip:alice@any.example', true],
    ['alice', 'sip:bob@any.example', false],
    ['alice@pbx.example', 'sip:alice@PBX.example:5080;transport=udp', true],
    ['alice@pbx.example', 'sip:alice@other.example', false],
    ['sip:alice@pbx.example', '"Alice" <sip:alice@pbx.example>;tag=x', true],
    ['*@pbx.example', 'sip:anyone@pbx.example', true],
    ['*@pbx.example', 'sip:pbx.example', true],
    ['*@pbx.example', 'sip:anyone@evil-pbx.example', false],
    ['*@[2001:db8::1]', 'sip:anyone@[2001:DB8::1]:5060', true],
  ])('from %s and caller %s: %s', (from, caller, matched) =>
    expect(nameFor([route('picky', { default: true }, { from: ['nobody', from] })], '1', caller)).toBe(
      matched ? 'picky' : undefined,
    ),
  );

  it.each([
    [{ name: 'X-Tenant', value: 'acme' }, { 'X-Tenant': ' acme ' }, true],
    [{ name: 'X-Tenant', value: 'acme' }, { 'X-Tenant': 'acme2' }, false],
    [{ name: 'X-Tenant', value: 'acme' }, {}, false],
    [{ name: 'X-Tenant', pattern: '^a' }, { 'X-Tenant': 'acme' }, true],
    [{ name: 'X-Tenant', pattern: '^a' }, { 'X-Tenant': 'bcme' }, false],
    [{ name: 'X-Tenant', pattern: '^a' }, { 'X-Tenant': 'a'.repeat(257) }, false],
  ])('header %j and %j: %s', (header, headers, matched) => {
    const plan = [route('picky', { default: true }, { header })];
    expect(nameFor(plan, '1', undefined, headers as Record<string, string>)).toBe(matched ? 'picky' : undefined);
  });

  it('passes over a did whose caller does not fit, and says why of every route', () => {
    const plan = [
      route('any', { default: true }),
      route('vip', { did: '100' }, { from: ['boss'] }),
      route('rest', { did: '100' }),
      route('other', { did: '200' }),
    ];
    const { route: taken, considered } = selectRoute(plan, call('100'));
    expect(taken?.name).toBe('rest');
    expect(considered.map((one) => [one.route.name, one.matched, one.why])).toEqual([
      ['vip', false, 'the caller is not among boss'],
      ['rest', true, 'the number is 100'],
      ['other', false, 'the number is not 200'],
      ['any', true, 'it takes any number, but rest comes first'],
    ]);
  });
});
