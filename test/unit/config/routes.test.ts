import { describe, expect, it } from 'vitest';
import type { Route } from '../../../src/config/types.js';
import { KEY, faultsOf, load } from './support.js';

function routesOf(content: string, env: Record<string, string> = {}): readonly Route[] {
  return load(`routes:\n${content}`, { env }).config.routes;
}

/** The fault of a single route, given as a flow mapping without its braces. */
function faultOf(route: string): string {
  const faults = faultsOf(`routes: [{${route}}]`);
  expect(faults).toHaveLength(1);
  return faults[0] ?? '';
}

describe('a route', () => {
  it('keeps numbers as written: no plus, no zero is lost', () => {
    const routes = routesOf(
      '- {did: +1 (555) 12-34, agentId: a}\n- {prefix: 0049, agentId: b}\n- {did: 0100, agentId: c}\n',
    );
    expect(routes.map(({ match, name }) => [match, name])).toEqual([
      [{ did: '+15551234' }, 'did:+15551234'],
      [{ prefix: '0049' }, 'prefix:0049'],
      [{ did: '0100' }, 'did:0100'],
    ]);
  });

  it('takes everything there is', () => {
    const [route] = routesOf(
      `- name: sales
  pattern: ^\\+?1555
  from: ['+1555*', '*@pbx.example']
  header: {name: X-Tenant, pattern: ^acme}
  targets: [{agentId: a1}, {workflowId: w1}]
  mode: telephony
  encoding: alaw
  apiKeyEnv: SALES_KEY
  url: wss://other.example/
  maxConcurrent: 5
  fallback: {redirect: 'sip:operator@pbx.example'}
  onAgentEnd: {refer: 'tel:+15550199'}
  dtmf: {0: {refer: 'sip:operator@pbx.example;user=phone?Priority=urgent'}, '#': hangup, a: hangup}
`,
      { SALES_KEY: 'sales-key' },
    );
    const connection = {
      mode: 'telephony',
      encoding: 'alaw',
      apiKeys: ['sales-key'],
      url: 'wss://other.example',
    };
    expect(route).toEqual({
      name: 'sales',
      match: { pattern: '^\\+?1555' },
      from: ['+1555*', '*@pbx.example'],
      header: { name: 'X-Tenant', pattern: '^acme' },
      targets: [
        { agentId: 'a1', ...connection },
        { workflowId: 'w1', ...connection },
      ],
      maxConcurrent: 5,
      fallback: { redirect: 'sip:operator@pbx.example' },
      onAgentEnd: { refer: 'tel:+15550199' },
      dtmf: {
        '0': { refer: 'sip:operator@pbx.example;user=phone?Priority=urgent' },
        '#': 'hangup',
        A: 'hangup',
      },
    });
  });

  it('takes the common key and address where it names none, and one caller without a list', () => {
    const [route] = routesOf(
      '- {default: true, workflowId: w, from: alice, fallback: {reject: 486}, onAgentEnd: hangup}\n',
    );
    expect(route).toMatchObject({
      from: ['alice'],
      targets: [{ workflowId: 'w', apiKeys: [KEY], url: 'wss://api.pranthora.com' }],
      fallback: { reject: 486 },
      onAgentEnd: 'hangup',
    });
  });

  it.each([
    ['agentId: a', 'routes[0]: needs exactly one of several keys (got none; allowed: did, prefix, pattern, default)'],
    ['did: "1", prefix: "1", agentId: a', 'routes[0]: needs exactly one of several keys (got did, prefix; allowed:'],
    ['default: false, agentId: a', 'routes[0].default: matches nothing (got false; allowed: true)'],
    ['did: true, agentId: a', 'routes[0].did: expected a number or a user name (got true;'],
    ['prefix: +, agentId: a', 'routes[0].prefix: expected the beginning of a number (got "+";'],
    ['pattern: "(", agentId: a', 'routes[0].pattern: expected a regular expression (got "(";'],
    ['pattern: "^(?!1)2$", agentId: a', 'routes[0].pattern: expected a regular expression'],
    [
      'default: true, agentId: a, workflowId: w',
      'routes[0]: needs exactly one of several keys (got agentId, workflowId;',
    ],
    ['default: true, agentId: "a b"', 'routes[0].agentId: expected an id from Pranthora (got "a b";'],
    ['default: true, targets: []', 'routes[0].targets: wrong number of targets (got 0; allowed: 1 to 16)'],
    ['default: true, targets: [x]', 'routes[0].targets[0]: expected a mapping (got "x")'],
    [
      'default: true, targets: [{agentId: a}, {}]',
      'routes[0].targets[1]: needs exactly one of several keys (got none;',
    ],
    [
      'default: true, targets: [{agentId: a, key: x}]',
      'routes[0].targets[0].key: unknown key (allowed: agentId, workflowId, weight, mode,',
    ],
    ['default: true, agentId: a, mode: http', 'routes[0].mode: expected one of the known values (got "http";'],
    ['default: true, agentId: a, encoding: alaw', 'routes[0].encoding: mode websocket has no encoding (got "alaw";'],
    [
      'default: true, mode: telephony, targets: [{agentId: a, mode: websocket, encoding: auto}]',
      'routes[0].targets[0].encoding: mode websocket has no encoding (got "auto"; allowed: mode: telephony or',
    ],
    [
      'default: true, agentId: a, apiKeyEnv: A, apiKeyFile: b',
      'routes[0].apiKeyFile: given twice, here and as apiKeyEnv (allowed: one of the two)',
    ],
    [
      'default: true, agentId: a, url: "wss://p.example/api/call/web-media-stream?agent_id=a"',
      'routes[0].url: expected a WebSocket URL',
    ],
    [
      'default: true, agentId: a, url: "wss://p.example/api/call/media-stream/agents/a"',
      'routes[0].url: expected a WebSocket URL',
    ],
    ['default: true, agentId: a, apiKey: my-secret', 'routes[0].apiKey: unknown key (allowed: did, prefix,'],
    [
      'default: true, agentId: a, apiKeyEnv: NO_KEY',
      'routes[0].apiKeyEnv: names an environment variable that is not set (got "NO_KEY")',
    ],
    [
      'default: true, agentId: a, apiKeyEnv: sk_live_1',
      'routes[0].apiKeyEnv: names an environment variable that is not set (got [redacted])',
    ],
    ['default: true, agentId: a, url: "http://x"', 'routes[0].url: expected a WebSocket URL'],
    [
      'default: true, agentId: a, maxConcurrent: 0',
      'routes[0].maxConcurrent: expected a whole number (got "0"; allowed: 1 to 100000)',
    ],
    ['default: true, agentId: a, maxConcurrent: ', 'routes[0].maxConcurrent: expected a whole number (got null;'],
    [
      'default: true, agentId: a, fallback: {}',
      'routes[0].fallback: needs exactly one of several keys (got none; allowed: redirect, reject)',
    ],
    [
      'default: true, agentId: a, fallback: {reject: 200}',
      'routes[0].fallback.reject: expected a whole number (got "200"; allowed: 400 to 699)',
    ],
    ['default: true, agentId: a, fallback: {redirect: "sip:a>b"}', 'routes[0].fallback.redirect: expected a SIP URI'],
    [
      'default: true, agentId: a, fallback: {redirect: "sip:a\\r\\nX: y"}',
      'routes[0].fallback.redirect: expected a SIP URI',
    ],
    [
      'default: true, agentId: a, onAgentEnd: sing',
      'routes[0].onAgentEnd: no such action (got "sing"; allowed: hangup, or refer: URI)',
    ],
    ['default: true, agentId: a, onAgentEnd: {}', 'routes[0].onAgentEnd.refer: required'],
    ['default: true, agentId: a, onAgentEnd: ', 'routes[0].onAgentEnd: expected a mapping (got null)'],
    [
      'default: true, agentId: a, onAgentEnd: {refer: bob}',
      'routes[0].onAgentEnd.refer: expected a SIP URI (got "bob";',
    ],
    ['default: true, agentId: a, dtmf: hangup', 'routes[0].dtmf: expected a mapping (got "hangup")'],
    ['default: true, agentId: a, dtmf: {E: hangup}', 'routes[0].dtmf.E: no such digit (allowed: 0 to 9, *, #, A to D)'],
    ['default: true, agentId: a, dtmf: {"**": hangup}', 'routes[0].dtmf."**": no such digit'],
    ['default: true, agentId: a, dtmf: {A: hangup, a: hangup}', 'routes[0].dtmf.a: already given as A'],
    ['default: true, agentId: a, dtmf: {"#": sing}', 'routes[0].dtmf.#: no such action (got "sing"; allowed: hangup,'],
    ['default: true, agentId: a, dtmf: {0: {}}', 'routes[0].dtmf.0.refer: required (allowed: sip:, sips: or tel:'],
    ['default: true, agentId: a, dtmf: {0: {refer: "sip:a b@c"}}', 'routes[0].dtmf.0.refer: expected a SIP URI'],
    [
      'default: true, agentId: a, dtmf: {0: {refer: "sip:a@c", by: x}}',
      'routes[0].dtmf.0.by: unknown key (allowed: refer)',
    ],
    ['default: true, agentId: a, from: "a*b"', 'routes[0].from: expected a caller'],
    ['default: true, agentId: a, from: []', 'routes[0].from: expected a list'],
    ['default: true, agentId: a, header: {value: x}', 'routes[0].header.name: required'],
    [
      'default: true, agentId: a, header: {name: X, value: x, pattern: x}',
      'routes[0].header: needs exactly one of several keys',
    ],
    [
      'default: true, agentId: a, header: {name: "X:", value: x}',
      'routes[0].header.name: expected the name of a SIP header',
    ],
    ['default: true, agentId: a, name: "a\\nb"', 'routes[0].name: expected a name (got "a\\nb";'],
  ])('is refused with %s', (route, fault) => expect(faultOf(route).slice(0, fault.length)).toBe(fault));

  it.each([
    'wss://p.example/x/api/call',
    'wss://p.example/x/api/call/web-media-stream',
    'wss://p.example/x/api/call/web-media-stream/',
    'wss://p.example/x/api/call/media-stream/agents/',
    'wss://p.example/x/',
  ])('is at the base of the URL %s', (url) => {
    const [route] = routesOf(`- {default: true, agentId: a, url: '${url}'}\n`);
    expect(route?.targets[0]?.url).toBe('wss://p.example/x');
  });

  it('gives its targets what they do not say of themselves', () => {
    const [route] = routesOf(
      `- default: true
  mode: handshake
  encoding: auto
  url: wss://route.example
  targets:
    - {agentId: a}
    - {agentId: b, mode: telephony, encoding: alaw, url: wss://b.example, apiKeyEnv: B_KEY}
    - {agentId: c, mode: websocket}
`,
      { B_KEY: 'b-key' },
    );
    const ofRoute = { mode: 'handshake', encoding: 'auto', url: 'wss://route.example', apiKeys: [KEY] };
    expect(route?.targets).toEqual([
      { agentId: 'a', ...ofRoute },
      { agentId: 'b', mode: 'telephony', encoding: 'alaw', url: 'wss://b.example', apiKeys: ['b-key'] },
      { agentId: 'c', ...ofRoute, mode: 'websocket', encoding: 'mulaw' },
    ]);
  });

  it('that is no mapping is refused', () => {
    expect(faultsOf('routes: [x]')).toEqual(['routes[0]: expected a mapping (got "x")']);
    expect(faultsOf('routes: {default: true}')[0]).toMatch(/^routes: expected a list/);
    expect(faultsOf('routes: []')[0]).toMatch(/^routes: required, at least one/);
  });
});

describe('a set of routes', () => {
  it.each([
    ['did: +15551234, agentId: a', 'did: 1-555-1234, agentId: b'],
    ['prefix: +49, agentId: a', 'prefix: 49, agentId: b'],
    ['pattern: ^1, agentId: a', 'pattern: ^1, agentId: b'],
    ['default: true, agentId: a', 'default: true, agentId: b'],
    ['did: "1", from: alice, agentId: a', 'did: "1", from: alice, agentId: b'],
    ['did: "1", agentId: a', 'did: "1", from: alice, agentId: b'],
  ])('refuses {%s} before {%s}', (first, second) =>
    expect(faultsOf(`routes: [{${first}}, {${second}}]`)).toEqual([
      expect.stringMatching(/^routes\[1\]: never taken: routes\[0\] takes all its calls/),
    ]),
  );

  it('tells routes for one number apart by the caller, and names them apart', () => {
    const routes = routesOf(
      '- {did: "1", from: alice, agentId: a}\n- {did: "1", from: bob, agentId: b}\n- {did: "1", agentId: c}\n',
    );
    expect(routes.map(({ name }) => name)).toEqual(['did:1', 'did:1#2', 'did:1#3']);
  });

  it('keeps derived names clear of given ones, and given ones unique', () => {
    expect(
      routesOf('- {did: "1", agentId: a}\n- {did: "2", name: "did:1", agentId: b}\n').map(({ name }) => name),
    ).toEqual(['did:1#2', 'did:1']);
    expect(faultsOf('routes: [{did: "1", name: x, agentId: a}, {did: "2", name: x, agentId: b}]')).toEqual([
      'routes[1].name: already used by routes[0] (got "x")',
    ]);
  });
});
