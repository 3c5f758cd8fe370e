// npm run model-card [-- options]: measures the embedded model against what is asked of it.
import { spawn } from 'node:child_process';
import { setUp } from './lib/setup.mjs';
import { runMain } from './lib/steps.mjs';

await runMain(async () => {
  await setUp({ quiet: true });
  const main = new URL('./model-card/main.ts', import.meta.url).pathname;
  const child = spawn(process.execPath, ['--import', 'tsx', main, ...process.argv.slice(2)], { stdio: 'inherit' });
  process.on('SIGINT', () => undefined); // the child has it too, saves what it has and ends
  return new Promise((resolve) => child.on('exit', (code, signal) => resolve(signal ? 130 : code)));
});
