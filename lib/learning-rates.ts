/** How far apart prompts lie at different learning rates: of one initial word, of one task, and in general. */
import { join } from 'node:path';
import { z } from 'zod';
import { distanceMatrix, groupMeans, meanDistance } from './distances';
import { readJson } from './files';
import { embeddedModelFolder } from './hub';
import { checkJson } from './json';
import { promptsOf, type Grid } from './runs';

/** Mean cosine distances, 0–2, between different prompts of the runs of one learning rate. */
export interface RatePicture {
  readonly learningRate: number;
  /** of the same initial word, mean over words */
  readonly word: number;
  /** of the same task, mean over tasks */
  readonly task: number;
  /** of any two */
  readonly all: number;
}

/** Of the prompts that a grid ended with. */
export function ratePicture(grid: Grid): RatePicture {
  const { points, labels } = promptsOf(grid);
  const distances = distanceMatrix(points, 'cosine');
  const groups = (key: 'word' | 'task'): number => {
    const means = groupMeans(distances, labels, [key], 'corrected').map(({ mean }) => mean);
    return means.reduce((sum, value) => sum + value, 0) / means.length;
  };
  const { learningRate } = grid.experiment;
  return { learningRate, word: groups('word'), task: groups('task'), all: meanDistance(distances, 'corrected') };
}

const cardSchema = z.object({
  parts: z.object({
    rates: z.object({
      details: z.array(z.object({ learningRate: z.number(), word: z.number(), task: z.number(), all: z.number() })),
    }),
  }),
});

/** What `npm run model-card` measured on the embedded model, by rising learning rate (three words, one seed). */
export function embeddedRatePictures(): RatePicture[] {
  const file = join(embeddedModelFolder, 'card.json');
  return checkJson(cardSchema, readJson(file), file).parts.rates.details;
}
