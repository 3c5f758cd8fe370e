/** Regular English inflections, by spelling. Doubled consonants are handled for one-syllable verbs only. */
const oneSyllableDoubling = /^[^aeiou]*[aeiou][bdgklmnprt]$/;
const endsInConsonantY = /[^aeiou]y$/;

const doubled = (verb: string): string =>
  oneSyllableDoubling.test(verb) && verb.length <= 5 ? verb + verb.slice(-1) : verb;

export function regularPast(verb: string): string {
  if (verb.endsWith('e')) return `${verb}d`;
  if (endsInConsonantY.test(verb)) return `${verb.slice(0, -1)}ied`;
  return `${doubled(verb)}ed`;
}

export function participle(verb: string): string {
  if (verb.endsWith('ie')) return `${verb.slice(0, -2)}ying`;
  if (/[^eoy]e$/.test(verb)) return `${verb.slice(0, -1)}ing`;
  return `${doubled(verb)}ing`;
}

export function thirdPerson(verb: string): string {
  if (/(s|x|z|ch|sh|o)$/.test(verb)) return `${verb}es`;
  return endsInConsonantY.test(verb) ? `${verb.slice(0, -1)}ies` : `${verb}s`;
}

export function regularPlural(noun: string): string {
  if (/(s|x|z|ch|sh)$/.test(noun)) return `${noun}es`;
  return endsInConsonantY.test(noun) ? `${noun.slice(0, -1)}ies` : `${noun}s`;
}

export const titleCase = (word: string): string => word[0].toUpperCase() + word.slice(1);
