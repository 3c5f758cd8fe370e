// npm run setup [-- --gpu | --cpu]: makes everything the notebooks need beside node_modules. Safe to
// interrupt and to run again; what is done already is left alone.
import { setUp } from './lib/setup.mjs';
import { Problem, runMain, seconds } from './lib/steps.mjs';

const USAGE = `npm run setup [-- --gpu | --cpu]
  --gpu   link to TensorFlow's CUDA build (Linux x86-64 with an NVIDIA GPU); remembered
  --cpu   back to the CPU build (the default)`;

await runMain(async () => {
  const options = process.argv.slice(2);
  if (options.includes('--help')) {
    console.log(USAGE);
    return 0;
  }
  const unknown = options.find((option) => option !== '--gpu' && option !== '--cpu');
  if (unknown) throw new Problem(`unknown option ${unknown}\n${USAGE}`);
  const since = Date.now();
  const kind = options.length ? options.at(-1).slice(2) : undefined;
  await setUp({ kind, retry: true });
  console.log(`set-up complete in ${seconds(since)}`);
  console.log('`npm start` runs the notebooks, `npm run lab` opens JupyterLab');
  return 0;
});
