/** Bar 2: how the token embeddings lie. */
import {
  createRandom, distanceBetween, distanceMatrix, findModel, meanSampleDistance, neighbourhoodCounts, readVocabulary,
  selectPoints, startBackend, tokenText,
} from '../../lib';
import { readMorphology } from '../pretrain/lemmas';
import type { Part } from './card';

const SEED = 2026;
const EPSILON = 0.7;
const NEAREST_ALLOWED = 0.1;

export async function measureVocabulary(model: string): Promise<Part> {
  await startBackend();
  const vocabulary = readVocabulary(findModel(model));
  const random = createRandom(SEED);
  const hundred = random.choice(vocabulary.count, 100);
  const thousand = random.choice(vocabulary.count, 1000);
  const meanDistance = meanSampleDistance(vocabulary, hundred, 'cosine', 'corrected');
  const sample = selectPoints(vocabulary, thousand);
  const near = nearPairs(distanceMatrix(sample, 'cosine'), thousand);
  const strangers = near.filter(({ isOneWord }) => !isOneWord);
  const counts = neighbourhoodCounts(sample, vocabulary, [EPSILON], { ownRows: thousand })
    .counts.map(([count]) => count).sort((a, b) => a - b);
  const at = (share: number): number => counts[Math.floor(share * (counts.length - 1))];
  return {
    bars: [
      {
        name: 'mean cosine distance of 100 random rows', asked: '≥ 0.6', found: meanDistance.toFixed(3),
        passes: meanDistance >= 0.6,
      },
      {
        name: 'pairs of 1 000 random rows nearer than 0.1, forms of one word apart', asked: '0',
        found: `${strangers.length} (and ${near.length - strangers.length} of one word)`, passes: strangers.length === 0,
      },
      {
        name: `neighbours within ${EPSILON} of the median row (of 1 000)`, asked: '≤ 50',
        found: `${at(0.5)} (quarters ${at(0.25)} and ${at(0.75)}, most ${at(1)})`, passes: at(0.5) <= 50,
      },
    ],
    details: { meanDistance, near, counts },
  };
}

function nearPairs(distances: ReturnType<typeof distanceMatrix>, rows: readonly number[]) {
  const { lemma } = readMorphology();
  const wordOf = (token: number): string => lemma(tokenText(token).trim().toLowerCase());
  const pairs: { tokens: [string, string]; distance: number; isOneWord: boolean }[] = [];
  for (let i = 0; i < rows.length; i++) {
    for (let j = i + 1; j < rows.length; j++) {
      const distance = distanceBetween(distances, i, j);
      if (distance >= NEAREST_ALLOWED) continue;
      const isOneWord = /^[a-z]+$/.test(wordOf(rows[i])) && wordOf(rows[i]) === wordOf(rows[j]);
      pairs.push({ tokens: [tokenText(rows[i]), tokenText(rows[j])], distance, isOneWord });
    }
  }
  return pairs;
}
