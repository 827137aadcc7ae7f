/**
 * Who may import whom. An import that no rule below allows is an error, so a new edge between
 * folders is always a decision somebody took here.
 */
const folders = (from, ...to) => ({
  from: { path: `^src/${from}` },
  to: { path: to.map((folder) => `^src/${folder}`) },
});
const typesAlone = (from, ...to) => {
  const rule = folders(from, ...to);
  return { ...rule, to: { ...rule.to, dependencyTypes: ['type-only'] } };
};
const packages = (from, ...names) => ({
  from: { path: `^src/${from}` },
  to: { path: names.map((name) => `(^|/)node_modules/(@types/)?${name}/`) },
});
const builtins = (from, ...names) => ({
  from: { path: `^src/${from}` },
  to: { dependencyTypes: ['core'], path: `^(node:)?(${names.join('|')})$` },
});
/** Layers from the lowest to the highest: none knows one above it. Names joined by `|` stand on one level, side by side. */
const layers = (folder, ...order) =>
  order.slice(0, -1).map((layer, i) => ({
    name: `${folder}-${layer}-knows-no-layer-above`,
    severity: 'error',
    from: { path: `^src/${folder}/(${layer})` },
    to: { path: order.slice(i + 1).map((above) => `^src/${folder}/(${above})`) },
  }));
const HARMLESS = ['events', 'crypto', 'path', 'url', 'util', 'buffer', 'assert', 'perf_hooks', 'stream'];
const SOCKETS = ['net', 'tls', 'dgram', 'dns', 'dns/promises', 'http', 'https'];

module.exports = {
  forbidden: [
    { name: 'no-circular', severity: 'error', from: {}, to: { circular: true } },
    { name: 'no-orphans', severity: 'error', from: { orphan: true, pathNot: '^src/main\\.ts$|\\.d\\.ts$' }, to: {} },
    ...layers(
      'sip-agent',
      'environment\\.ts',
      'syntax/',
      'transport/',
      'transaction/|wire/',
      'dialog/',
      'guard/',
      'core/',
      'agent\\.ts',
      'index\\.ts',
    ),
    ...layers('bridge', 'uplink/|downlink/', 'call-bridge\\.ts', 'threads/'),
    {
      name: 'calls-are-observed-through-events-alone',
      severity: 'error',
      from: { path: '^src/control/' },
      to: { path: '^src/(logger\\.ts|ops/|records/)' },
    },
    {
      name: 'sip-agent-has-one-door',
      severity: 'error',
      from: { path: '^src/(?!sip-agent/)' },
      to: { path: '^src/sip-agent/(?!index\\.ts$)' },
    },
  ],
  allowedSeverity: 'error',
  allowed: [
    { from: { path: '^src/([^/]+)/' }, to: { path: '^src/$1/' } },
    { from: { pathNot: '^src/(audio|sip-agent)/' }, to: { path: '^src/(clock|error-text|logger)\\.ts$' } },
    { from: { path: '^src/(config|cli|phone)/' }, to: { path: '^src/regular-file\\.ts$' } },
    builtins('regular-file\\.ts', 'fs'),
    builtins('', ...HARMLESS),

    folders('main\\.ts', 'cli/'),
    builtins('main\\.ts', 'fs', 'tty'),
    folders(
      'cli/',
      'compose\\.ts',
      'config/',
      'control/',
      'ops/',
      'pranthora/',
      'simulator/',
      'phone/',
      'load/',
      'addresses/',
      'audio/',
      'version\\.ts',
    ),
    // A preflight speaks SIP without a bridge.
    folders('cli/doctor/', 'signaling/', 'sip-agent/index\\.ts', 'clock\\.ts', 'logger\\.ts'),
    packages('cli/', 'commander', 'yaml', 'selfsigned'),
    builtins('cli/', 'fs', 'fs/promises', 'process', 'os', 'child_process', 'readline'),
    folders('compose\\.ts', ''),
    builtins('compose\\.ts', 'os'),
    folders('config/', 'addresses/', 'pranthora/agent-target\\.ts', 'version\\.ts'),
    packages('addresses/', 'ipaddr\\.js'),
    builtins('addresses/', 'net'),
    packages('config/', 'convict', 'yaml', 'ipaddr\\.js', 're2js'),
    builtins('config/', 'fs', 'process', 'net', 'module'),
    folders(
      'control/',
      'signaling/',
      'media/(engine|sdp)\\.ts',
      'bridge/(messages|stats)\\.ts',
      'pranthora/(endings|agent-target)\\.ts',
      'events/',
      'config/',
      'addresses/',
    ),
    // They carry the figures of a call's media, and nothing of the bridge runs in them.
    typesAlone('(events|records)/', 'bridge/stats\\.ts'),
    folders('records/', 'events/', 'control/live-call\\.ts', 'addresses/'),
    folders('media/', 'bridge/messages\\.ts', 'audio/encodings\\.ts'),
    packages('media/', 'sdp-transform', 'ipaddr\\.js'),
    builtins('media/', 'net', 'os'),
    packages('rtp/', 'ipaddr\\.js'),
    packages('media/freeswitch/', 'drachtio-fsmrf'),
    packages('signaling/', 'drachtio-srf', 'ipaddr\\.js', 'lru-cache'),
    packages('sip-agent/', 'lru-cache'),
    builtins('signaling/', 'net'), // the type of drachtio-srf's socket
    builtins('bridge/', 'worker_threads'),
    folders('bridge/', 'rtp/', 'audio/', 'pranthora/'),
    folders('rtp/', 'audio/'),
    builtins('rtp/', 'dgram', 'net'),
    folders('pranthora/', 'audio/'),
    packages('pranthora/', 'ws', 'https-proxy-agent'),
    builtins('pranthora/', ...SOCKETS, 'module'),
    packages('audio/', 'alawmulaw'),
    builtins('sip-agent/', ...SOCKETS),
    folders(
      'ops/',
      'config/',
      'control/',
      'events/',
      'records/',
      'signaling/registration/registration\\.ts',
      'addresses/',
      'version\\.ts',
    ),
    packages('ops/', 'pino', 'pino-pretty'),
    builtins('ops/', ...SOCKETS, 'os', 'module', 'fs', 'tty'),
    folders('simulator/', 'audio/'),
    packages('simulator/', 'ws'),
    builtins('simulator/', ...SOCKETS),
    folders(
      'phone/',
      'audio/',
      'addresses/',
      'rtp/',
      'signaling/',
      'sip-agent/',
      'media/(sdp|embedded)\\.ts',
      'bridge/scheduler\\.ts',
    ),
    packages('phone/', 'wavefile', 'wave-resampler', 'ipaddr\\.js'),
    builtins('phone/', ...SOCKETS, 'fs', 'fs/promises'),
    folders('load/', 'phone/', 'simulator/', 'audio/', 'rtp/', 'sip-agent/', 'bridge/scheduler\\.ts'),
    packages('load/', 'ws'),
    builtins('load/', ...SOCKETS, 'fs'),
    builtins('version\\.ts', 'fs', 'module'),
  ],
  options: {
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    doNotFollow: { path: 'node_modules' },
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['import', 'require', 'node', 'default', 'types'],
    },
  },
};
