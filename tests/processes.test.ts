import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import test from 'node:test';

import { isAlive, processStart } from '../lib/processes';

const skip = process.platform !== 'linux' && 'only Linux tells more than whether a number is taken';

test('This process and its parent are alive, a number above all others is not.', () => {
  assert.deepEqual([process.pid, process.ppid, 2 ** 22 + 1].map(isAlive), [true, true, false]);
});

test('A process that has ended is not alive, though its parent has not taken notice.', { skip }, async () => {
  // The shell becomes a sleep, which never asks how its child ended; the child outlives the shell.
  const parent = spawn('sh', ['-c', 'sleep 0.3 & echo $!; exec sleep 60'], { stdio: ['ignore', 'pipe', 'ignore'] });
  try {
    const pid = Number(await new Promise((resolve) => parent.stdout.once('data', resolve)));
    while (isAlive(pid)) await new Promise((resolve) => setTimeout(resolve, 5));
    assert.doesNotThrow(() => process.kill(pid, 0), 'its number is still taken');
  } finally {
    parent.kill('SIGKILL');
  }
});

test('The start of a process stays what it was, and tells processes apart.', { skip }, () => {
  assert.match(processStart(process.pid) ?? '', /^[0-9a-f-]{36} \d+$/);
  assert.equal(processStart(process.pid), processStart(process.pid));
  assert.notEqual(processStart(process.pid), processStart(1));
  assert.equal(processStart(2 ** 22 + 1), null);
});
