/** The curves of the pretraining as a figure, from what scripts/pretrain/export.py put beside the model. */
import { join } from 'node:path';
import { z } from 'zod';
import { bandCurvePanels, closeBrowser, figureSvg } from '../../lib';
import { readJson, writeFileAtomic } from '../../lib/files';
import { checkJson } from '../../lib/json';
import { mean } from './card';

/** [step, training loss, loss of the answer tokens alone], each a mean over the steps since the last */
const trainingSchema = z.object({ curve: z.array(z.tuple([z.number(), z.number(), z.number()])).min(2) });

/** Points of a curve; more would be a band of markers. */
const POINTS = 40;

/** Draws training.svg of training.json in the model's folder. */
export async function drawTraining(folder: string): Promise<void> {
  const file = join(folder, 'training.json');
  const { curve } = checkJson(trainingSchema, readJson(file), file);
  const width = Math.ceil(curve.length / POINTS);
  const windows = Array.from({ length: Math.ceil(curve.length / width) }, (_, i) => curve.slice(i * width, (i + 1) * width));
  const steps = windows.map((entries) => entries[entries.length - 1][0]);
  const line = (name: string, column: 1 | 2) => {
    const values = windows.map((entries) => mean(entries.map((entry) => entry[column])));
    return { name, middle: values, low: values, high: values };
  };
  const curves = [line('all tokens, weighted', 1), line('answers', 2)];
  const panel = { title: 'Pretraining', yTitle: 'training loss, nats', curves };
  try {
    writeFileAtomic(join(folder, 'training.svg'), await figureSvg(bandCurvePanels(steps, [panel], { xTitle: 'step', columns: 1 })));
  } finally {
    await closeBrowser();
  }
}
