/**
 * Sorting the vocabulary tokens near prompts into the four categories of the paper (section 3.2.2), by rule
 * instead of by hand, and showing tokens safely.
 *
 * The rules, on the token without white space around it; the first that fits decides:
 *
 * | category     | rule                                                         | examples             |
 * |--------------|--------------------------------------------------------------|----------------------|
 * | `inflection` | an init word, alone or with an English ending; case ignored  | Water, waters, TABLE |
 * | `letter`     | one letter that is not of the English alphabet               | β, đ, Ē, ě           |
 * | `unreadable` | nothing visible; broken UTF-8, control characters            | U+FFFD               |
 * |              | no letter or digit, but two symbols or one outside ASCII     | ?????-?????          |
 * |              | UTF-8 taken for Latin-1: Latin-1 letters, no ASCII ones      | ÃÂÃÂÃÂ               |
 * | `other`      | everything else                                              | StreamerBot          |
 *
 * The rule for inflections knows spelling only: it finds `housing`, `penned` and `booklet`, takes neither
 * `pencil` nor `cater` for a form of pen or cat, and misses irregular forms (`mice`).
 */

export const TOKEN_CATEGORIES = ['inflection', 'letter', 'unreadable', 'other'] as const;
export type TokenCategory = (typeof TOKEN_CATEGORIES)[number];

/** A vocabulary token in the neighbourhood of a prompt vector, and of which. */
export interface NearToken {
  readonly token: number;
  readonly text: string;
  readonly task: string;
  readonly word: string;
}

/** How many different tokens of each category are near the prompts of a group. */
export interface CategoryCounts extends Readonly<Record<TokenCategory, number>> {
  /** the task or word; 'all' for all prompts */
  readonly group: string;
  readonly tokens: number;
}

const ENDINGS_WITH_VOWEL = 'ed er ers es en ing ings y ie ies ier ish'.split(' ');
const ENDINGS_WITH_CONSONANT = "s 's ’s ful less let lets like ly".split(' ');

/** The category of a token, by the rules at the top of this file. */
export function categoriseToken(text: string, initWords: readonly string[]): TokenCategory {
  const visible = text.trim();
  if (initWords.some((word) => isFormOf(visible, word))) return 'inflection';
  if (/^\p{L}\p{M}*$/u.test(visible) && !/^[A-Za-z]$/.test(visible)) return 'letter';
  return isUnreadable(visible) ? 'unreadable' : 'other';
}

/**
 * How many different tokens of each category are near any prompt of each task, of each word, or of all.
 * Groups are in order of first appearance; a token near several prompts of a group counts once there.
 */
export function countCategories(
  near: readonly NearToken[],
  initWords: readonly string[],
  by: 'task' | 'word' | 'all',
): CategoryCounts[] {
  const groups = new Map<string, Map<number, TokenCategory>>();
  for (const item of near) {
    const group = by === 'all' ? 'all' : item[by];
    const tokens = groups.get(group) ?? new Map<number, TokenCategory>();
    tokens.set(item.token, categoriseToken(item.text, initWords));
    groups.set(group, tokens);
  }
  return [...groups].map(([group, tokens]) => {
    const categories = [...tokens.values()];
    const count = (category: TokenCategory): number => categories.filter((c) => c === category).length;
    return {
      group,
      tokens: tokens.size,
      inflection: count('inflection'),
      letter: count('letter'),
      unreadable: count('unreadable'),
      other: count('other'),
    };
  });
}

/**
 * A token as one can print it: spaces as ␣, and everything that is invisible, breaks lines or changes the
 * writing direction as an escape (`\n`, `\u{202e}`). For HTML it must still be escaped as any text.
 */
export function showToken(text: string): string {
  const named = new Map([[' ', '␣'], ['\n', '\\n'], ['\r', '\\r'], ['\t', '\\t'], ['\\', '\\\\']]);
  const escaped = text.replace(/[\p{C}\p{Z}\\]/gu, (character) =>
    named.get(character) ?? `\\u{${(character.codePointAt(0) as number).toString(16)}}`,
  );
  // An accent without a letter would land on whatever is printed before it.
  return escaped.replace(/^\p{M}/u, '◌$&');
}

function isFormOf(text: string, initWord: string): boolean {
  const form = text.toLowerCase();
  const word = initWord.trim().toLowerCase();
  if (word === '') return false;
  if (form === word) return true;
  return (
    ENDINGS_WITH_CONSONANT.some((ending) => form === word + ending) ||
    ENDINGS_WITH_VOWEL.some((ending) => form === stemBeforeVowel(word, ending) + ending)
  );
}

/** housing, not houseing; penned, not pened; cities, not cityes. */
function stemBeforeVowel(word: string, ending: string): string {
  if (word.endsWith('e')) return word.slice(0, -1);
  if (/[^aeiou]y$/.test(word) && ending.startsWith('e')) return `${word.slice(0, -1)}i`;
  const oneSyllable = /^[^aeiou]*[aeiou][^aeiouwxy]$/.test(word);
  return oneSyllable ? word + word.slice(-1) : word;
}

function isUnreadable(visible: string): boolean {
  if (visible === '') return true;
  // Cc control, Co private use, Cn unassigned, Cs half a surrogate pair; U+FFFD stands for broken UTF-8.
  if (/[\p{Cc}\p{Co}\p{Cn}\p{Cs}\u{fffd}]/u.test(visible)) return true;
  const symbols = [...visible];
  if (!/[\p{L}\p{N}]/u.test(visible)) return symbols.length > 1 || !/^[!-~]$/.test(visible);
  return symbols.length > 1 && !/[A-Za-z0-9]/.test(visible) && /[\u{80}-\u{ff}]/u.test(visible);
}
