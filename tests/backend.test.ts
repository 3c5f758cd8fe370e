import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import * as path from 'node:path';
import test from 'node:test';

import { BACKEND_NAMES, currentDevice, nativeKernels, nativeProblem, startBackend, tf } from '../lib/backend';

test('Before the start there is no device, and an unknown name in SOFT_PROMPTS_BACKEND is refused.', async () => {
  assert.throws(() => currentDevice(), { message: 'backend: not started; await startBackend() first' });
  const before = process.env.SOFT_PROMPTS_BACKEND;
  try {
    process.env.SOFT_PROMPTS_BACKEND = 'quantum';
    await assert.rejects(
      startBackend(), { message: 'SOFT_PROMPTS_BACKEND: quantum, expected auto or one of native, wasm, cpu' });
  } finally {
    if (before === undefined) delete process.env.SOFT_PROMPTS_BACKEND;
    else process.env.SOFT_PROMPTS_BACKEND = before;
  }
});

test('The backend starts once and says what computes; another one is refused in the same process.', async () => {
  const device = await startBackend({ threads: 1 });
  assert.ok((BACKEND_NAMES as readonly string[]).includes(device.backend));
  assert.ok(['CPU', 'GPU'].includes(device.kind));
  assert.match(device.version, /^\d+\.\d+\.\d+/);
  assert.ok(device.threads >= 1);
  assert.equal(await startBackend(), device);
  assert.equal(currentDevice(), device);
  assert.equal(nativeKernels() !== undefined, device.backend === 'native');
  if (device.backend === 'native') assert.equal(nativeProblem(), undefined);
  const other = device.backend === 'cpu' ? 'wasm' : 'cpu';
  await assert.rejects(
    startBackend({ backend: other }),
    new RegExp(`${device.backend} is already running in this process, expected ${other}`));
  assert.equal(tf.tidy(() => tf.sum(tf.tensor1d([1, 2, 3])).dataSync()[0]), 6);
});

test('The wasm backend gives transformers\' and PEFT\'s numbers to the same tolerances.', () => {
  // the tests of forward.test.ts again, in a process of their own
  const titles = [
    'logits of all five', 'Loss and prompt gradient', 'A prefix that', 'slope of the loss',
  ];
  const environment: NodeJS.ProcessEnv = { ...process.env, SOFT_PROMPTS_BACKEND: 'wasm' };
  delete environment.NODE_TEST_CONTEXT; // or the process would report to this one's test runner
  const { stdout, stderr, status } = spawnSync(process.execPath, [
    '--import', 'tsx', '--test', '--test-reporter=tap', ...titles.map((title) => `--test-name-pattern=${title}`),
    path.join(__dirname, 'forward.test.ts'),
  ], { env: environment, cwd: path.dirname(__dirname), encoding: 'utf8' });
  assert.equal(status, 0, stdout + stderr);
  assert.match(stdout, new RegExp(`^# pass ${titles.length}$`, 'm'));
});
