/**
 * The paper's published values, to stand beside a run's own.
 *
 * Bakalova, "Are soft prompts actually not interpretable?"; more digits than the text prints come from the saved
 * outputs of the authors' notebook (repository CUPalex/soft_prompts). All are in the `published` convention
 * (see Convention in distances.ts) and for GPT-2 XL, prompts after epoch 50.
 */

/** Heading of the paper's values in tables that have this run's `published` and `corrected` ones beside them. */
export const PAPER_COLUMN = 'paper, GPT-2 XL (published)';

/** Section 2.3: examples of each task. */
export const PAPER_SIZES: Readonly<Record<string, { readonly train: number; readonly test: number }>> = {
  country_capital: { train: 157, test: 40 },
  landmark_country: { train: 668, test: 168 },
  present_past: { train: 234, test: 59 },
  singular_plural: { train: 164, test: 41 },
  capitalize_first_letter: { train: 650, test: 163 },
  lowercase_first_letter: { train: 651, test: 163 },
};

/** Tables 1 and 2 and the mean over all prompts: mean cosine distances. */
export const PAPER_DISTANCES = {
  sameWord: {
    cat: 0.546034, dog: 0.547264, bird: 0.528472, book: 0.567885, house: 0.61236,
    chair: 0.544497, table: 0.58016, pen: 0.566388, paper: 0.506061, water: 0.584952,
  } as Readonly<Record<string, number>>,
  sameTask: {
    country_capital: 0.643099, landmark_country: 0.665577, present_past: 0.710362,
    singular_plural: 0.684544, capitalize_first_letter: 0.712954, lowercase_first_letter: 0.710524,
  } as Readonly<Record<string, number>>,
  allPrompts: 0.7415353843,
};

/** Section 3.1: the smallest correlation between two words' distance sequences, and the largest p-value. */
export const PAPER_PEARSON = { min: 0.742789, largestP: 4.376e-102 };

/** Section 3.2.1, ε = 0.7: mean numbers of neighbours. */
export const PAPER_NEIGHBOURS = {
  tokens: { all: 38.627, vocabulary: 36.664 },
  prompts: {
    all: 86.496, vocabulary: 15.6875, prompts: 70.808, sameWord: 20.7, sameTask: 17.992, samePosition: 31.375,
    initWords: 0.9,
  },
};

/** Section 3.2.3: mean cosine distances to the nearest neighbour, and how many have no vocabulary token within 0.7. */
export const PAPER_NEAREST = {
  promptsAny: 0.3581, promptsVocabulary: 0.5302, promptsWithout: 13, tokensAny: 0.4246, tokensVocabulary: 0.428,
  tokensWithout: 1,
};

/** Table 3, tasks in the order of PAPER_SIZES. Its caption says ε = 0.7, the authors' code used 0.5. */
export const PAPER_TASK_COUNTS: readonly (readonly number[])[] = [
  [242, 92, 49, 68, 30, 19],
  [92, 158, 14, 24, 13, 10],
  [49, 14, 96, 74, 22, 24],
  [68, 24, 74, 148, 37, 30],
  [30, 13, 22, 37, 112, 24],
  [19, 10, 24, 30, 24, 84],
];

/** Section 3.2.1: the 0.7-neighbourhood of ` interviewer` in GPT-2 XL. */
export const PAPER_INTERVIEWER: readonly string[] = [
  ' interview', ' reporters', ' reporter', ' interviews', ' journalist', ' interviewed', ' analyst', ' interrog',
  ' Interview', ' investigator', ' columnist', ' psychologist', ' caller', ' filmmaker', ' questionnaire',
  ' commentator', ' psychiatrist', ' interviewing', ' moderator', ' narrator', ' informant', ' examiner',
  ' reviewer', ' presenter', ' interviewer', 'Interview', ' commenter', ' announcer',
];
