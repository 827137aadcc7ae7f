import { isIP } from 'node:net';
import { cidrMatcher } from '../addresses/cidr.js';
import { tooFewDescriptors } from './descriptors.js';
import { isOpenToTheWorld } from './open-world.js';
import type { BridgeConfig } from './types.js';

const isLoopback = cidrMatcher(['127.0.0.0/8', '::1']);

const MAX_NAMED = 5;

/** What is allowed but probably not meant, a sentence each. */
export function warningsAbout(config: BridgeConfig): string[] {
  return [
    ...fewPorts(config),
    ...fewDescriptors(config),
    ...plainTransport(config),
    ...openHttp(config),
    ...openSip(config),
    ...knownSecrets(config),
    ...unheardDigits(config),
  ];
}

/** RTP takes an even port, RTCP the odd one after it (RFC 3550 §11). */
function fewPorts({ media, call }: BridgeConfig): string[] {
  const { min, max } = media.ports;
  const pairs = Math.floor((max + 1 - (min + (min % 2))) / 2);
  if (pairs >= call.maxConcurrent) return [];
  return [`media.ports: ${min}-${max} has room for ${pairs} calls, call.maxConcurrent is ${call.maxConcurrent}`];
}

function plainTransport({ pranthora, routes }: BridgeConfig): string[] {
  const urls = new Set([pranthora.url, ...routes.flatMap(({ targets }) => targets.map(({ url }) => url))]);
  return [...urls]
    .filter((url) => url.startsWith('ws:') && !isLocal(new URL(url).hostname))
    .map((url) => `${url}: the API key and the conversation travel unencrypted; wss: encrypts them`);
}

function fewDescriptors({ call }: BridgeConfig): string[] {
  const why = tooFewDescriptors(call.maxConcurrent);
  return why === undefined ? [] : [why];
}

function openHttp({ http }: BridgeConfig): string[] {
  if (isLocal(http.host)) return [];
  return [
    `http.host: whoever reaches ${http.host}:${http.port} sees who is calling; 127.0.0.1, or a firewall, keeps it inside`,
  ];
}

function openSip({ sip }: BridgeConfig): string[] {
  if (!isOpenToTheWorld(sip.allow)) return [];
  const auth = sip.auth ? 'sip.auth asks for passwords, but' : 'and nobody is asked for a password (sip.auth);';
  return [`sip.allow: takes calls from all over the Internet, ${auth} only peers' own addresses keep scanners out`];
}

/** What every installation has, everybody knows. */
function knownSecrets({ sip, media }: BridgeConfig): string[] {
  const servers = [
    ...(sip.engine === 'drachtio' ? [{ path: 'sip.drachtio', known: 'cymru', ...sip.drachtio }] : []),
    ...(media.engine === 'freeswitch' ? media.freeswitch : []).map((server, index) => ({
      path: `media.freeswitch[${index}]`,
      known: 'ClueCon',
      ...server,
    })),
  ];
  return servers
    .filter(({ host, secret, known }) => secret === known && !isLocal(host))
    .map(
      ({ path, host }) => `${path}.secret: is the one every installation comes with, and ${host} is another machine`,
    );
}

/** Text from a client breaks the pure WebSocket, and it has no other place for an event. */
function unheardDigits({ media, routes }: BridgeConfig): string[] {
  if (media.dtmf !== 'event') return [];
  const deaf = routes.filter(({ targets }) => targets.some(({ mode }) => mode === 'websocket'));
  if (deaf.length === 0) return [];
  const names = deaf.slice(0, MAX_NAMED).map(({ name }) => name);
  const more = deaf.length > MAX_NAMED ? ` and ${deaf.length - MAX_NAMED} more` : '';
  return [
    `media.dtmf event: agents of mode websocket hear nothing of keys pressed (routes ${names.join(', ')}${more})`,
  ];
}

function isLocal(hostname: string): boolean {
  const address = hostname.replace(/^\[|\]$/g, '');
  return isIP(address) === 0 ? hostname === 'localhost' : isLoopback(address);
}
