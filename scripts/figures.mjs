// npm run figures [-- FOLDER]: writes README.md, the page of all figures, into a folder of exported figures.
import { asProblem, library, makeLibrary } from './lib/library.mjs';
import { inRoot, shown } from './lib/project.mjs';
import { Problem, runMain } from './lib/steps.mjs';

const USAGE = `npm run figures [-- FOLDER]   one page of all figures and tables that the notebooks exported

FOLDER is figures/ by default; another run's are in data/runs/RUN/figures.`;

await runMain(async () => {
  const args = process.argv.slice(2);
  if (args.includes('--help')) {
    console.log(USAGE);
    return;
  }
  const [folder = inRoot('figures'), ...rest] = args;
  const unknown = folder.startsWith('-') ? folder : rest[0];
  if (unknown !== undefined) throw new Problem(`unknown option ${unknown}\n\n${USAGE}`);
  await makeLibrary();
  const { fromHere } = await import('./lib/options.mjs');
  const file = await asProblem(() => library('figure-page').writeFigurePage(fromHere(folder)));
  console.log(`written: ${shown(file)}`);
});
