/** The embedding space of a run: its model's vocabulary and its prompts, as the analysis notebooks need them. */
import { distanceBetween, distanceMatrix } from './distances';
import type { NeighbourCurve } from './figures-space';
import { findModel } from './hub';
import type { EmbeddingSpace } from './neighbour-statistics';
import { neighbourhoodCounts, type EpsilonCounts } from './neighbourhoods';
import { pointsFrom, type Points, type PromptLabel } from './points';
import { gridWarnings, promptsOf, type Grid } from './runs';
import { openCheckpoint } from './safetensors';
import { escapeMarkdown } from './tables';
import { singleToken } from './tokenizer';

/** The embedding matrix of a model folder, without loading the rest: [vocabulary, dModel]. */
export function readVocabulary(modelFolder: string): Points {
  const checkpoint = openCheckpoint(modelFolder);
  try {
    const name = checkpoint.names.find((candidate) => /^(transformer\.)?wte\.weight$/.test(candidate));
    if (name === undefined) throw new Error(`${modelFolder}: tensor wte.weight: expected, but missing`);
    const { data, shape } = checkpoint.read(name);
    return pointsFrom(data, shape[1]);
  } finally {
    checkpoint.close();
  }
}

/** Vocabulary, prompts after an epoch (default: the last) and the rows of the initial words. */
export function readSpace(grid: Grid, epoch?: number): EmbeddingSpace {
  return {
    vocabulary: readVocabulary(findModel(grid.experiment.model, { revision: grid.commit ?? grid.experiment.revision })),
    prompts: promptsOf(grid, epoch),
    initRows: grid.experiment.words.map(singleToken),
  };
}

/** Markdown that says what the numbers below it are evidence of, and what is amiss with them. */
export function describeGrid(grid: Grid): string {
  const { name, experiment, device } = grid;
  const { model, data, tasks, words, seeds, promptTokens, epochs } = experiment;
  const runs = tasks.length * words.length * seeds.length;
  const caution = model === 'embedded'
    ? ' The embedded model is a small demonstration model: its results are no evidence about GPT-2 XL.' : '';
  return `**Run \`${name}\`**: ${runs} runs (${tasks.length} tasks × ${words.length} words × ${seeds.length} seed` +
    `${seeds.length > 1 ? 's' : ''}), ${promptTokens} prompt vectors each, ${epochs} epochs; model \`${model}\`, ` +
    `data \`${data}\`; computed on ${device.backend} ${device.kind}.${caution}` +
    gridWarnings(grid).map((warning) => `\n- **Warning** – ${escapeMarkdown(warning)}`).join('');
}

/** 0.05, 0.1 … 1: where the curve over ε is drawn. */
export const CURVE_EPSILONS: readonly number[] = Array.from({ length: 20 }, (_, i) => (i + 1) / 20);

/**
 * How the neighbourhoods of the prompts grow with ε (corrected: no prompt is its own neighbour).
 * `await startBackend()` before.
 * @param counts of vocabulary rows around the prompts at several ε: those to draw, or what a survey has found
 */
export function promptNeighbourCurve(
  space: EmbeddingSpace,
  counts: EpsilonCounts | readonly number[] = CURVE_EPSILONS,
): NeighbourCurve {
  const { points, labels } = space.prompts;
  const found = 'counts' in counts ? counts : neighbourhoodCounts(points, space.vocabulary, counts);
  const { epsilons } = found;
  const vocabulary = columnMeans(found.counts);
  const distances = distanceMatrix(points, 'cosine');
  const among = (related: (a: PromptLabel, b: PromptLabel) => boolean) => epsilons.map((epsilon) => {
    let count = 0;
    for (let i = 0; i < points.count; i++) {
      for (let j = 0; j < points.count; j++) {
        if (i !== j && related(labels[i], labels[j]) && distanceBetween(distances, i, j) < epsilon) count++;
      }
    }
    return count / points.count;
  });
  return {
    epsilon: epsilons,
    counts: {
      'vocabulary tokens': vocabulary,
      prompts: among(() => true),
      'same word': among((a, b) => a.word === b.word),
      'same task': among((a, b) => a.task === b.task),
      'same position': among((a, b) => a.position === b.position),
    },
  };
}

function columnMeans(rows: readonly (readonly number[])[]): number[] {
  return rows[0].map((_, column) => rows.reduce((sum, row) => sum + row[column], 0) / rows.length);
}
