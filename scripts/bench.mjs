// npm run bench [-- options]: makes sure of set-up, then measures (bench/bench.ts).
import { passThrough } from './lib/notebooks.mjs';
import { inRoot } from './lib/project.mjs';
import { setUp } from './lib/setup.mjs';
import { runMain } from './lib/steps.mjs';

await runMain(async () => {
  await setUp({ quiet: true });
  return passThrough(process.execPath, ['--import', 'tsx', inRoot('bench', 'bench.ts'), ...process.argv.slice(2)], process.env);
});
