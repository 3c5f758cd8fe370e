/**
 * The environment variables SOFT_PROMPTS_…: which there are. Another one is a slip of the keyboard, and a slip that
 * changes nothing would let a training run with a setting that nobody asked for.
 */
import { SETTING_NAMES, variableOf } from './settings';

const PREFIX = 'SOFT_PROMPTS_';

/** What is no setting: of a call, of the machine, of the tests, and the parameters of the notebooks. */
const OTHERS = [
  'PRESET', 'RUN', 'FIGURES', 'BACKEND', 'DATA_URL', 'PAPER_DATA', 'TEST_KILLS', 'TEST_CASES', 'TEST_SEED', 'TEST_BACKEND',
  'SHOWN', 'EPSILON', 'TABLE_EPSILONS', 'INIT_WORDS', 'SEED', 'PERPLEXITY', 'TOKEN', 'NEAREST', 'MOST', 'PERMUTATIONS',
  'RESAMPLES', 'COMPONENTS', 'TEST_EXAMPLES', 'SWAP_SEED', 'LENS_WORD', 'RATE_RUNS',
].map((name) => PREFIX + name);

export const VARIABLES: readonly string[] = [...SETTING_NAMES.map(variableOf), ...OTHERS];

/** Throws where a variable SOFT_PROMPTS_… is set that does not exist, with the one it is nearest to. */
export function checkVariables(environment: NodeJS.ProcessEnv): void {
  const unknown = Object.keys(environment).find((name) => (
    name.startsWith(PREFIX) && !VARIABLES.includes(name) && environment[name] !== ''));
  if (unknown === undefined) return;
  const distances = VARIABLES.map((name) => editDistance(unknown, name));
  const nearest = VARIABLES[distances.indexOf(Math.min(...distances))];
  const names = VARIABLES.map((name) => name.slice(PREFIX.length)).join(', ');
  throw new Error(
    `environment: ${unknown}: there is no such variable, the nearest is ${nearest}; mend: unset it, or use one of ` +
    `${PREFIX} + ${names}; a parameter of a notebook of your own is set in its cell`);
}

/** How many letters must be added, left out or changed to make one text of the other (Levenshtein). */
function editDistance(one: string, other: string): number {
  let row = Array.from({ length: other.length + 1 }, (_, i) => i);
  for (const [i, letter] of [...one].entries()) {
    const next = [i + 1];
    for (let j = 0; j < other.length; j++) {
      next.push(Math.min(row[j] + (letter === other[j] ? 0 : 1), row[j + 1] + 1, next[j] + 1));
    }
    row = next;
  }
  return row[other.length];
}
