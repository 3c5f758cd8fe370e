// Small tools for scripts that do things step by step: run a program with its noise in a log, say what is
// being done and for how long, and let only one set-up work at a time.
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { cache, shown } from './project.mjs';

/** A failure whose message is meant for the user as it stands (no stack trace). */
export class Problem extends Error {}

const children = new Set();
const logsBegun = new Set();

/**
 * Runs a program, its output in the log file `log`, and resolves when it ends well.
 * Throws a Problem when it does not: one line with the reason, then the last 20 lines of the output.
 */
export async function runLogged(command, args, { log, env = {}, cwd } = {}) {
  const file = path.join(cache, `setup-${log}.log`);
  fs.mkdirSync(cache, { recursive: true });
  const out = fs.openSync(file, logsBegun.has(file) ? 'a' : 'w');
  logsBegun.add(file);
  fs.writeSync(out, `$ ${[command, ...args].join(' ')}\n`);
  try {
    const code = await exitCode(command, args, {
      stdio: ['ignore', out, out],
      env: { ...process.env, ...env },
      cwd,
    });
    if (code !== 0)
      throw new Problem(describeFailure(`${path.basename(command)} ended with exit code ${code}`, file));
  } finally {
    fs.closeSync(out);
  }
}

/** First line: the reason, as far as the log tells it; then the end of the log. */
function describeFailure(what, file) {
  const lines = fs.readFileSync(file, 'utf8').trimEnd().split('\n');
  const reason =
    lines
      .filter((line) => !line.startsWith('$ ') && /error/i.test(line))
      .at(-1)
      ?.trim() ?? what;
  return `${reason} (${shown(file)})\n${lines
    .slice(-20)
    .map((line) => `    ${line}`)
    .join('\n')}`;
}

/**
 * Spawns a program and resolves to its exit code (128 + n when signal n ended it). Rejects if it cannot
 * start.
 */
export function exitCode(command, args, options) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, options);
    children.add(child);
    child.on('error', (error) => {
      children.delete(child);
      reject(new Problem(`${command} cannot be started: ${error.message}`));
    });
    child.on('close', (code, signal) => {
      children.delete(child);
      resolve(code ?? 128 + (signal === 'SIGINT' ? 2 : signal === 'SIGKILL' ? 9 : 15));
    });
  });
}

/** Runs a program and resolves to { ok, out, errors }; never rejects. Too long, missing, failed: not ok. */
export function outputOf(command, args, { timeoutSeconds = 60, env = {}, cwd } = {}) {
  return new Promise((resolve) => {
    const child = spawn(command, args, {
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: timeoutSeconds * 1000,
      env: { ...process.env, ...env },
      cwd,
    });
    let out = '';
    let errors = '';
    child.stdout.on('data', (data) => {
      out += data;
    });
    child.stderr.on('data', (data) => {
      errors += data;
    });
    child.on('error', (error) => resolve({ ok: false, out, errors: error.message }));
    child.on('close', (code) => resolve({ ok: code === 0, out: out.trim(), errors: errors.trim() }));
  });
}

export const seconds = (since) => `${((Date.now() - since) / 1000).toFixed(1)} s`;

/**
 * Does `make` unless `isDone` says that it was done already, and prints which and how long.
 * With `quiet`, a step that is done already prints nothing.
 */
export async function step(name, { isDone, make, hint = '', quiet = false }) {
  if (await isDone()) {
    if (!quiet) console.log(`${name} ... already there`);
    return;
  }
  const since = Date.now();
  process.stdout.write(`${name}${hint ? ` (${hint})` : ''} ... `);
  try {
    await make();
  } catch (error) {
    console.log(`failed after ${seconds(since)}`);
    throw error;
  }
  console.log(`done in ${seconds(since)}`);
}

/** Runs `work` while holding .cache/setup.lock, waiting for another set-up of this folder to end first. */
export async function withLock(work) {
  const lock = path.join(cache, 'setup.lock');
  fs.mkdirSync(cache, { recursive: true });
  let said = false;
  while (!takeLock(lock)) {
    if (!said) console.log(`waiting for another set-up of this folder (process ${readOwner(lock)}) to end`);
    said = true;
    await new Promise((resolve) => {
      setTimeout(resolve, 500);
    });
  }
  const release = () => fs.rmSync(lock, { force: true });
  const stop = () => {
    for (const child of children) child.kill('SIGTERM');
    release();
    console.log('\nstopped; run the same command again to go on from here');
    process.exit(130);
  };
  process.on('SIGINT', stop).on('SIGTERM', stop);
  try {
    return await work();
  } finally {
    release();
    process.off('SIGINT', stop).off('SIGTERM', stop);
  }
}

function takeLock(lock) {
  try {
    fs.writeFileSync(lock, String(process.pid), { flag: 'wx' });
    return true;
  } catch (error) {
    if (error.code !== 'EEXIST') throw error;
  }
  const owner = readOwner(lock);
  if (owner && isAlive(owner)) return false;
  fs.rmSync(lock, { force: true }); // left behind by a process that was killed
  return false;
}

const readOwner = (lock) => {
  try {
    return Number(fs.readFileSync(lock, 'utf8'));
  } catch {
    return 0;
  }
};

function isAlive(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error.code === 'EPERM';
  }
}

/** Runs a script's main function; prints a Problem without a stack trace and sets the exit code. */
export async function runMain(main) {
  try {
    process.exitCode = (await main()) ?? 0;
  } catch (error) {
    console.error(error instanceof Problem ? error.message : error);
    process.exitCode = 1;
  }
}
