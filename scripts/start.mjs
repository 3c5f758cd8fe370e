// npm start [-- options]: makes sure of set-up, then runs the notebooks in order.
import fs from 'node:fs';
import { asProblem, library, makeLibrary } from './lib/library.mjs';
import { listNotebooks, shown } from './lib/project.mjs';
import { runNotebooks } from './lib/notebooks.mjs';
import { setUp } from './lib/setup.mjs';
import { Problem, runMain, seconds } from './lib/steps.mjs';

await runMain(async () => {
  const args = process.argv.slice(2);
  await makeLibrary();
  const { START_USAGE, chooseNotebooks, parseOptions, planRun } = await import('./lib/options.mjs');
  if (args.includes('--help')) {
    console.log(START_USAGE);
    return 0;
  }
  const values = parseOptions(args);
  const { inPlace, output, environment } = planRun(values);
  await asProblem(() => checkBefore(environment));
  const files = chooseNotebooks(listNotebooks(), values.only);
  if (files.length === 0) throw new Problem('there is no notebook in notebooks/');
  await setUp({ quiet: true });

  const since = Date.now();
  const { SOFT_PROMPTS_PRESET: preset, SOFT_PROMPTS_RUN: run, SOFT_PROMPTS_FIGURES: figures } = environment;
  console.log(`preset ${preset}, run ${run}`);
  console.log(`executed notebooks: ${inPlace ? 'notebooks' : shown(output)}, figures: ${shown(figures)}`);
  const code = await runNotebooks(files, { output, environment });
  if (code === 0) {
    await asProblem(() => writePage(figures));
    console.log(`done in ${seconds(since)}`);
  }
  if (code === 130) {
    const again = ['npm start', args.join(' ')].filter(Boolean).join(' -- ');
    console.log(`stopped; finished epochs are kept: go on with \`${again}\``);
  }
  return code;
});

/** One page of what the notebooks exported; none where those that export did not run. */
function writePage(figures) {
  const exported = fs.existsSync(figures) && fs.readdirSync(figures).some((file) => file.endsWith('.csv'));
  if (exported) console.log(`all figures: ${shown(library('figure-page').writeFigurePage(figures))}`);
}

/** What can be known to be wrong before anything is set up or trained; lists still to be downloaded are not read. */
function checkBefore(environment) {
  const { configure, checkTasks } = library('experiment');
  const experiment = configure(environment.SOFT_PROMPTS_PRESET, {}, environment);
  const folder = experiment.data === 'function-vectors' ? undefined : library('data').findData(experiment.data);
  if (folder) checkTasks(experiment, folder);
}
