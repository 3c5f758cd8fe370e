/** The curves of the pretraining as a figure, from what scripts/pretrain/export.py put beside the model. */
import { join } from 'node:path';
import { z } from 'zod';
import { bandCurvePanels, closeBrowser, figureSvg } from '../../lib';
import { readJson, writeFileAtomic } from '../../lib/files';
import { checkJson } from '../../lib/json';

/** [step, training loss, loss of the answer tokens alone], each a mean over the steps since the last */
const trainingSchema = z.object({ curve: z.array(z.tuple([z.number(), z.number(), z.number()])).min(2) });

/** Draws training.svg of training.json in the model's folder. */
export async function drawTraining(folder: string): Promise<void> {
  const file = join(folder, 'training.json');
  const { curve } = checkJson(trainingSchema, readJson(file), file);
  const steps = curve.map(([step]) => step);
  const line = (name: string, values: number[]) => ({ name, middle: values, low: values, high: values });
  const curves = [line('all tokens, weighted', curve.map((entry) => entry[1])), line('answers', curve.map((entry) => entry[2]))];
  const panel = { title: 'Pretraining', yTitle: 'training loss, nats', curves };
  try {
    writeFileAtomic(join(folder, 'training.svg'), await figureSvg(bandCurvePanels(steps, [panel], { xTitle: 'step' })));
  } finally {
    await closeBrowser();
  }
}
