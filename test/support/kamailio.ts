import { spawn, type ChildProcess } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { vi } from 'vitest';
import { isInstalled } from './tools.js';

export const hasKamailio = isInstalled('kamailio');

const SIGTERM_PATIENCE_MS = 5_000;
/** Another loopback address than the bridge's and the callers', so that who sends what can be told apart. */
const ADDRESS = '127.0.0.2';

export interface KamailioOptions {
  readonly user: string;
  readonly password: string;
  readonly algorithm?: 'MD5' | 'SHA-256';
  /** What it grants at least, as 423 says, and at most. */
  readonly minExpiresSec?: number;
  readonly maxExpiresSec?: number;
}

/** Kamailio on loopback: a registrar that asks for a password, and a proxy in the path of the calls to who is registered. */
export class Kamailio {
  readonly address = ADDRESS;
  readonly port: number;
  readonly #directory = mkdtempSync(join(tmpdir(), 'kamailio-'));
  #process: ChildProcess | undefined;
  #output = '';

  private constructor(port: number, options: KamailioOptions) {
    this.port = port;
    writeFileSync(join(this.#directory, 'kamailio.cfg'), configuration(port, options));
  }

  static async start(options: KamailioOptions): Promise<Kamailio> {
    const kamailio = new Kamailio(await freePort(), options);
    await kamailio.run();
    return kamailio;
  }

  /** For `sip.registrations`; its port and transport are no part of the address of record. */
  get registrar(): string {
    return `sip:${ADDRESS}:${this.port}`;
  }

  /** What it has logged: a line `REGISTERED contact` for each binding, `UNREGISTERED` for each that was taken back. */
  get output(): string {
    return this.#output;
  }

  /** Starts it (again), knowing nobody. Resolves when it answers. */
  async run(): Promise<void> {
    const directory = this.#directory;
    const args = ['-DD', '-E', '-e', '-m', '32', '-M', '8', '-f', join(directory, 'kamailio.cfg'), '-Y', directory];
    // A group of its own, so that its processes can be ended together.
    const child = spawn('kamailio', args, { cwd: directory, stdio: ['ignore', 'pipe', 'pipe'], detached: true });
    this.#process = child;
    for (const stream of [child.stdout, child.stderr]) {
      stream.on('data', (bytes: Buffer) => {
        this.#output += bytes.toString('utf8');
      });
    }
    await vi.waitFor(() => this.#expectAnswer(), { timeout: 10_000, interval: 50 });
  }

  /** Ends it; what it knew is gone. */
  async kill(): Promise<void> {
    const child = this.#process;
    this.#process = undefined;
    if (child?.exitCode !== null || child.pid === undefined) return;
    const group = -child.pid;
    const closed = once(child, 'close');
    child.kill('SIGTERM');
    // Now and then it does not end by itself.
    const timer = setTimeout(() => process.kill(group, 'SIGKILL'), SIGTERM_PATIENCE_MS);
    await closed;
    clearTimeout(timer);
  }

  async stop(): Promise<void> {
    await this.kill();
    rmSync(this.#directory, { recursive: true });
  }

  /** Resolves when its log has a line that matches, counted from `since` characters on. */
  logged(pattern: RegExp, since = 0): Promise<string> {
    return vi.waitFor(
      () => {
        const found = pattern.exec(this.#output.slice(since))?.[0];
        if (found === undefined) throw new Error(`no ${String(pattern)} in Kamailio's log:\n${this.#output}`);
        return found;
      },
      { timeout: 10_000, interval: 20 },
    );
  }

  async #expectAnswer(): Promise<void> {
    if (this.#process?.exitCode !== null) throw new Error(`Kamailio has ended:\n${this.#output}`);
    const socket = createSocket('udp4');
    try {
      const answered = once(socket, 'message', { signal: AbortSignal.timeout(200) });
      socket.bind(0, ADDRESS);
      await once(socket, 'listening');
      socket.send(options(ADDRESS, socket.address().port), this.port, ADDRESS);
      await answered;
    } finally {
      socket.close();
    }
  }
}

function options(address: string, port: number): string {
  return [
    `OPTIONS sip:${address} SIP/2.0`,
    `Via: SIP/2.0/UDP ${address}:${port};branch=z9hG4bK${port};rport`,
    `From: <sip:test@${address}>;tag=1`,
    `To: <sip:${address}>`,
    `Call-ID: ${port}@${address}`,
    'CSeq: 1 OPTIONS',
    'Max-Forwards: 70',
    'Content-Length: 0',
    '',
    '',
  ].join('\r\n');
}

async function freePort(): Promise<number> {
  const socket = createSocket('udp4');
  socket.bind(0, ADDRESS);
  await once(socket, 'listening');
  const { port } = socket.address();
  socket.close();
  await once(socket, 'close');
  return port;
}

function configuration(port: number, given: KamailioOptions): string {
  const { user, password, algorithm = 'MD5', minExpiresSec = 1, maxExpiresSec = 3_600 } = given;
  return `
debug=1
log_stderror=yes
log_prefix=""
children=1
tcp_children=1
auto_aliases=no
listen=udp:${ADDRESS}:${port}
listen=tcp:${ADDRESS}:${port}
loadmodule "tm.so"
loadmodule "sl.so"
loadmodule "rr.so"
loadmodule "pv.so"
loadmodule "maxfwd.so"
loadmodule "textops.so"
loadmodule "siputils.so"
loadmodule "usrloc.so"
loadmodule "registrar.so"
loadmodule "auth.so"
loadmodule "xlog.so"
modparam("usrloc", "db_mode", 0)
modparam("registrar", "min_expires", ${minExpiresSec})
modparam("registrar", "max_expires", ${maxExpiresSec})
modparam("auth", "nonce_expire", 60)
modparam("auth", "nonce_count", 1)
modparam("auth", "qop", "auth")
modparam("auth", "algorithm", "${algorithm}")
request_route {
  if (is_method("OPTIONS") && uri == myself && $rU == $null) { sl_send_reply("200", "OK"); exit; }
  if (!mf_process_maxfwd_header("10")) { sl_send_reply("483", "Too Many Hops"); exit; }
  if (has_totag()) {
    if (loose_route()) { t_relay(); exit; }
    if (is_method("ACK")) { if (t_check_trans()) t_relay(); exit; }
    sl_send_reply("404", "Not Here");
    exit;
  }
  if (is_method("CANCEL")) { if (t_check_trans()) t_relay(); exit; }
  if (is_method("REGISTER")) {
    if ($au != "${user}" || !pv_www_authenticate("$td", "${password}", "0")) { www_challenge("$td", "1"); exit; }
    consume_credentials();
    if (!save("location")) { sl_reply_error(); exit; }
    if ($hdr(Expires) == "0") xlog("L_ALERT", "UNREGISTERED $ct\\n");
    else xlog("L_ALERT", "REGISTERED $ct\\n");
    exit;
  }
  if (is_method("INVITE")) record_route();
  if (!lookup("location")) { sl_send_reply("404", "Not Found"); exit; }
  t_relay();
}
`;
}
