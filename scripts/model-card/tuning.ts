/** Bars 1 and 5: prompt tuning with the paper's settings, and how the tuned prompts lie. */
import {
  configure, disposeGpt2, distanceMatrix, evaluate, findData, findModel, groupMeans, loadGpt2, loadTask, meanDistance,
  promptsOf, singleToken, tf, trainGrid, type Experiment, type Grid,
} from '../../lib';
import { initialPrompts } from '../../lib/tuning';
import { mean, progressLine, type Part } from './card';

interface TaskResult {
  readonly task: string;
  /** mean over words and seeds */
  readonly tuned: number;
  readonly lowest: number;
  /** standard deviation over seeds of the mean over words; 0 with one seed */
  readonly betweenSeeds: number;
  /** mean over words */
  readonly untuned: number;
}

/** Tunes all tasks and words with each seed; `label` names the lists in the run's folder and in the card. */
export async function measureTuning(
  name: string, label: string, overrides: Partial<Experiment>, workers: number | undefined,
): Promise<{ part: Part; grid: Grid }> {
  const experiment = configure('demo', overrides, {});
  const show = progressLine();
  const started = Date.now();
  const grid = await trainGrid(name, experiment, {
    workers,
    onProgress: ({ done, resumed, total, note }) => {
      const left = ((Date.now() - started) / Math.max(1, done - resumed)) * (total - done) / 60_000;
      show(`${label}: ${((100 * done) / total).toFixed(1)} %, ${left.toFixed(0)} min left; ${note}`);
    },
  });
  const untuned = measureUntuned(experiment);
  const results = experiment.tasks.map((task) => resultOf(grid, task, untuned.get(task) ?? NaN));
  return { grid, part: { bars: tuningBars(label, results), details: { experiment, results } } };
}

function resultOf({ runs, experiment }: Grid, task: string, untuned: number): TaskResult {
  const last = runs.filter((run) => run.task === task)
    .map(({ seed, metrics }) => ({ seed, accuracy: metrics[metrics.length - 1].testAccuracy }));
  const ofSeeds = experiment.seeds.map((seed) => mean(
    last.filter((run) => run.seed === seed).map(({ accuracy }) => accuracy)));
  const tuned = mean(ofSeeds);
  const variance = ofSeeds.reduce((sum, value) => sum + (value - tuned) ** 2, 0) / Math.max(1, ofSeeds.length - 1);
  return {
    task, tuned, untuned, lowest: Math.min(...last.map(({ accuracy }) => accuracy)), betweenSeeds: Math.sqrt(variance),
  };
}

/** Test accuracy of the four vectors as they start, mean over the words. `await startBackend()` before. */
function measureUntuned(experiment: Experiment): Map<string, number> {
  const model = loadGpt2(findModel(experiment.model));
  const { tasks, words, promptTokens, template, newTokens, batchSize, data } = experiment;
  const start = initialPrompts(model, words.map(singleToken), promptTokens);
  const prompts = tf.tensor3d(start, [words.length, promptTokens, model.config.dModel]);
  const results = tasks.map((name): [string, number] => {
    const { test } = loadTask(name, { folder: findData(data), template });
    return [name, mean(evaluate(model, prompts, test, { batchSize, newTokens }).map(({ accuracy }) => accuracy))];
  });
  prompts.dispose();
  disposeGpt2(model);
  return new Map(results);
}

function tuningBars(label: string, results: readonly TaskResult[]): Part['bars'] {
  const average = mean(results.map(({ untuned }) => untuned));
  const highest = results.reduce((most, result) => (result.untuned > most.untuned ? result : most));
  return [
    ...results.map(({ task, tuned, lowest, betweenSeeds }) => ({
      name: `${label}: ${task}, tuned`, asked: '≥ 0.95',
      found: `${tuned.toFixed(3)} (worst run ${lowest.toFixed(2)}, between seeds ± ${betweenSeeds.toFixed(3)})`,
      passes: tuned >= 0.95,
    })),
    {
      name: `${label}: untuned, mean of tasks`, asked: '≤ 0.6', found: average.toFixed(3), passes: average <= 0.6,
    },
    {
      name: `${label}: untuned, highest task`, asked: '≤ 0.8',
      found: `${highest.untuned.toFixed(3)} (${highest.task})`, passes: highest.untuned <= 0.8,
    },
  ];
}

/** Same word nearer than same task nearer than all, as the paper's tables 1 and 2 have it (first seed's prompts). */
export function measurePicture(grid: Grid): Part {
  const { points, labels } = promptsOf(grid);
  const distances = distanceMatrix(points, 'cosine');
  const groups = (key: 'word' | 'task'): number =>
    mean(groupMeans(distances, labels, [key, 'seed'], 'corrected').map((group) => group.mean));
  const [word, task, all] = [groups('word'), groups('task'), meanDistance(distances, 'corrected')];
  const found = `${word.toFixed(3)}, ${task.toFixed(3)}, ${all.toFixed(3)}`;
  return {
    bars: [{
      name: `same word < same task < all pairs, rate ${grid.experiment.learningRate}`, asked: 'in this order', found,
      passes: word < task && task < all,
    }],
    details: { learningRate: grid.experiment.learningRate, word, task, all },
  };
}
