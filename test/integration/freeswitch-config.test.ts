import { readFileSync, readdirSync } from 'node:fs';
import { join, posix } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { parseServices } from '../support/compose-file.js';
import { elementsOf, parseXml } from '../support/xml.js';
import type { XmlElement } from '../support/xml.js';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const FILES = readdirSync(join(ROOT, 'freeswitch'), { recursive: true, encoding: 'utf8' })
  .filter((name) => name.endsWith('.xml'))
  .sort();

function read(path: string): string {
  return readFileSync(join(ROOT, path), 'utf8');
}

const text = (file: string): string => read(`freeswitch/${file}`);

interface Placed {
  readonly file: string;
  readonly element: XmlElement;
}

/** All elements of a name, over all files. */
function elementsNamed(name: string): Placed[] {
  return FILES.flatMap((file) =>
    [...elementsOf(parseXml(text(file)))].flatMap((element) => (element.name === name ? { file, element } : [])),
  );
}

function attributes(name: string, attribute: string): string[] {
  return elementsNamed(name).flatMap(({ element }) => element.attributes.get(attribute) ?? []);
}

/** The data of a preprocessor's command, `name=value`, in pieces. */
function assignments(command: 'set' | 'env-set'): [name: string, value: string][] {
  return elementsNamed('X-PRE-PROCESS')
    .filter(({ element }) => element.attributes.get('cmd') === command)
    .map(({ element }) => {
      const [, name = '', value = ''] = /^([^=]+)=(.*)$/.exec(element.attributes.get('data') ?? '') ?? [];
      return [name, value];
    });
}

function parameters(file: string): Record<string, string> {
  const own = elementsNamed('param').filter((placed) => placed.file === file);
  return Object.fromEntries(
    own.map(({ element }) => [element.attributes.get('name') ?? '', element.attributes.get('value') ?? '']),
  );
}

function unique(values: readonly string[]): string[] {
  return [...new Set(values)].sort();
}

/** A `*` stands for anything within one folder. */
function matches(file: string, pattern: string): boolean {
  const expression = pattern.replaceAll(/[.+?^${}()|[\]\\]/g, '\\$&').replaceAll('*', '[^/]*');
  return new RegExp(`^${expression}$`).test(file);
}

describe('the configuration of FreeSWITCH', () => {
  it.each(FILES)('is well-formed: %s', (file) => expect(() => parseXml(text(file))).not.toThrow());

  it('includes every file once', () => {
    const includes = elementsNamed('X-PRE-PROCESS').filter(
      ({ element }) => element.attributes.get('cmd') === 'include',
    );
    const included = includes.flatMap(({ file, element }) => {
      const pattern = posix.join(posix.dirname(file), element.attributes.get('data') ?? '');
      const found = FILES.filter((candidate) => matches(candidate, pattern));
      expect(found, pattern).not.toEqual([]);
      return found;
    });
    expect(included.sort()).toEqual(FILES.filter((file) => file !== 'freeswitch.xml'));
  });

  it('keeps preprocessor directives where FreeSWITCH reads them: whole on a line, and never in a comment', () => {
    const lines = FILES.flatMap((file) => text(file).split('\n')).filter((line) => line.includes('X-PRE-PROCESS'));
    for (const line of lines) expect(line).toMatch(/^\s*<X-PRE-PROCESS cmd="[a-z-]+" data="[^"]+"\/>$/);
    expect(lines).toHaveLength(elementsNamed('X-PRE-PROCESS').length);
  });

  it('sets the variables it uses and no others, and has a default for what the environment may leave out', () => {
    const set = assignments('set').map(([name]) => name);
    const used = FILES.flatMap((file) => [...text(file).matchAll(/\$\$\{(\w+)\}/g)].map(([, name = '']) => name));
    // FreeSWITCH itself sets the one and looks at the other.
    expect(unique([...set, 'local_ip_v4'])).toEqual(unique([...used, 'rtp_secure_media']));
    for (const [name] of assignments('env-set')) expect(set).toContain(name);
  });

  it('lets the environment have the last word', () => {
    const vars = text('vars.xml');
    for (const [name] of assignments('env-set')) {
      expect(vars.indexOf(`cmd="env-set" data="${name}=`), name).toBeGreaterThan(
        vars.indexOf(`cmd="set" data="${name}=`),
      );
    }
  });

  it('reads the variables that its README documents and docker-compose.yml sets', () => {
    const variables = assignments('env-set').map(([, value]) => value.replace(/^\$/, ''));
    const rows = text('README.md').match(/^\| `FREESWITCH_.*$/gm) ?? [];
    expect(unique(rows.join('\n').match(/FREESWITCH_[A-Z_]+/g) ?? [])).toEqual(unique(variables));
    const service = parseServices(read('docker-compose.yml'))['freeswitch'];
    expect(variables).toEqual(expect.arrayContaining(Object.keys(service?.environment ?? { missing: '' })));
  });

  it('has the profile drachtio-fsmrf looks for, in a context that exists, behind a list that exists', () => {
    expect(attributes('profile', 'name')).toEqual(['drachtio_mrf']);
    const profile = parameters('sip_profiles/drachtio_mrf.xml');
    const eventSocket = parameters('autoload_configs/event_socket.conf.xml');
    expect(attributes('context', 'name')).toEqual([profile['context']]);
    expect(attributes('list', 'name')).toEqual([profile['apply-inbound-acl']]);
    expect(eventSocket['apply-inbound-acl']).toBe(profile['apply-inbound-acl']);
  });

  it('listens on loopback until told otherwise, and never speaks SRTP', () =>
    expect(Object.fromEntries(assignments('set'))).toMatchObject({
      event_socket_address: '127.0.0.1',
      sip_address: '127.0.0.1',
      rtp_secure_media: 'false',
    }));

  it('loads the module of every configuration, and offers the codec of the wideband leg', () => {
    const modules = attributes('load', 'module');
    const configured = attributes('configuration', 'name').map((name) => name.replace(/\.conf$/, ''));
    const ofTheCore = ['acl', 'modules', 'switch'];
    const expected = configured.filter((name) => !ofTheCore.includes(name)).map((name) => `mod_${name}`);
    expect(modules).toEqual(expect.arrayContaining(expected));
    expect(Object.fromEntries(assignments('set'))['codecs']?.split(',')).toContain('L16@16000h@20i');
  });
});

describe('the reader of XML', () => {
  it('finds elements and attributes, in comments none', () => {
    const root = parseXml(`<?xml version="1.0"?>\n<a><!-- <c/> --><b one="1"\n two='"2"'/></a>\n`);
    expect([...elementsOf(root)].map(({ name, attributes: own }) => [name, [...own]])).toEqual([
      ['a', []],
      [
        'b',
        [
          ['one', '1'],
          ['two', '"2"'],
        ],
      ],
    ]);
  });

  it.each([
    ['an element that stays open', '<a><b></a>'],
    ['an end without a beginning', '<a/></a>'],
    ['a second root', '<a/><b/>'],
    ['text outside', '<a/>x'],
    ['an attribute without quotes', '<a b=c/>'],
    ['an attribute twice', '<a b="1" b="2"/>'],
    ['a < in an attribute', '<a b="<"/>'],
    ['a bare ampersand', '<a b="1&2"/>'],
    ['a comment with -- in it', '<a><!-- a -- b --></a>'],
    ['a comment that stays open', '<a><!-- a </a>'],
    ['nothing', ''],
  ])('refuses %s', (_what, malformed) => expect(() => parseXml(malformed)).toThrow());
});
