/** Ctrl-C while notebooks run, and how JupyterLab is started: with the Python environment that set-up made. */
import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import * as fs from 'node:fs';
import * as net from 'node:net';
import * as os from 'node:os';
import * as path from 'node:path';
import test, { after } from 'node:test';
import { pathToFileURL } from 'node:url';

import { lockFolder } from '../lib/lock';
import { runFolder } from '../lib/run-names';

const root = path.join(__dirname, '..');
const python = path.join(root, '.venv', 'bin', 'python');
const skip = !fs.existsSync(python) && 'there is no .venv: npm run setup';
const run = `test-${process.pid}-interrupt`;
const temporary = fs.mkdtempSync(path.join(os.tmpdir(), 'soft-prompts-interrupt-'));
after(() => {
  fs.rmSync(temporary, { recursive: true, force: true });
  fs.rmSync(runFolder(run), { recursive: true, force: true });
});

interface Program {
  readonly child: ChildProcess;
  readonly text: () => string;
  readonly ended: () => boolean;
  readonly code: Promise<number | null>;
}

/** A program in a process group of its own, with all that it prints. */
function start(command: string, args: readonly string[], environment: NodeJS.ProcessEnv): Program {
  const child = spawn(command, args, { cwd: root, detached: true, stdio: ['ignore', 'pipe', 'pipe'], env: environment });
  let text = '';
  let ended = false;
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (data) => (text += String(data)));
  const code = new Promise<number | null>((resolve) => child.on('close', (found) => {
    ended = true;
    resolve(found);
  }));
  return { child, text: () => text, ended: () => ended, code };
}

async function until(condition: () => boolean, { ended, text }: Program): Promise<void> {
  while (!condition()) {
    assert.ok(!ended(), `it ended too early: ${text()}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

test('Ctrl-C in npm start ends the running cell with its epochs saved, and says how to go on.', { skip }, async () => {
  const settings = ['--preset', 'tiny', '--only', '02', '--run', run, '--epochs', '10000', '--tasks', 'present_past', '--words', 'cat'];
  const program = start(process.execPath, [path.join(root, 'scripts', 'start.mjs'), ...settings], process.env);
  const folder = runFolder(run);
  const checkpoints = path.join(folder, 'checkpoints');
  await until(() => fs.existsSync(checkpoints) && fs.readdirSync(checkpoints).some((name) => !name.startsWith('.')), program);
  process.kill(-program.child.pid!, 'SIGINT'); // as a terminal does
  assert.equal(await program.code, 130, program.text());
  assert.match(program.text(), /stopping the running cell/);
  const lines = program.text().trim().split('\n');
  assert.equal(lines.at(-1), `stopped; finished epochs are kept: go on with \`npm start -- ${settings.join(' ')}\``);
  const [, notebook] = /stopped; the notebook as far as it came: (\S+)/.exec(program.text())!;
  assert.match(fs.readFileSync(path.join(root, notebook), 'utf8'), /"stopping after the step in progress; .*run it again to go on/);
  lockFolder(folder, run)(); // the kernel is gone, and its lock is not in the way
  assert.match(fs.readdirSync(checkpoints).join(), /^[0-9a-f]{16}\.safetensors$/);
});

/** Does anything listen there? */
const listens = (host: string, port: number) => new Promise<boolean>((resolve) => {
  const socket = net.connect({ host, port }, () => resolve(true)).on('error', () => resolve(false));
  socket.on('close', () => undefined).setTimeout(2000, () => resolve(false)).unref();
});

const freePort = () => new Promise<number>((resolve) => {
  const server = net.createServer().listen(0, '127.0.0.1', () => {
    const { port } = server.address() as net.AddressInfo;
    server.close(() => resolve(port));
  });
});

test('JupyterLab listens on this machine alone, whatever its settings say, and wants its token.', { skip }, async () => {
  const { labArguments } = (await import(pathToFileURL(path.join(root, 'scripts', 'lib', 'lab.mjs')).href)) as {
    labArguments(given: readonly string[]): string[];
  };
  const settings = { ServerApp: { ip: '0.0.0.0' } };
  fs.writeFileSync(path.join(temporary, 'jupyter_server_config.json'), JSON.stringify(settings));
  const port = await freePort();
  const options = ['--no-browser', `--ServerApp.port=${port}`, '--ServerApp.port_retries=0', '--allow-root'];
  const { JUPYTER_TOKEN: token, ...environment } = process.env;
  assert.equal(token, undefined);
  const program = start(python, labArguments(options), {
    ...environment, JUPYTER_CONFIG_DIR: temporary, JUPYTER_RUNTIME_DIR: temporary, JUPYTER_PREFER_ENV_PATH: '0',
  });
  try {
    await until(() => /\?token=[0-9a-f]{48}/.test(program.text()), program);
    const address = `http://127.0.0.1:${port}/api/contents`;
    const [, given] = /\?token=([0-9a-f]{48})/.exec(program.text())!;
    assert.equal((await fetch(address)).status, 403);
    assert.equal((await fetch(`${address}?token=${'0'.repeat(48)}`)).status, 403);
    assert.equal((await fetch(`${address}?token=${given}`)).status, 200);
    const others = Object.values(os.networkInterfaces()).flatMap((list) => list ?? []).filter(({ internal }) => !internal);
    for (const { address: other, family } of others) {
      if (family === 'IPv4') assert.equal(await listens(other, port), false, other);
    }
  } finally {
    program.child.kill('SIGTERM');
    await program.code;
  }
});
