// Reads command lines: `--flag value` and `--flag=value`, and the rest.
import { Problem } from './steps.mjs';

/**
 * `options`: a list of { usage: '--flag VALUE', key, aliases, check, help }; `check` returns what it expected of a
 * wrong value, or throws. Returns { values: { key: text }, rest }. Throws a Problem that names the option, the
 * value and what was expected.
 */
export function readArguments(args, options, usage) {
  const values = {};
  const rest = [];
  for (let i = 0; i < args.length; i += 1) {
    if (!args[i].startsWith('-')) {
      rest.push(args[i]);
      continue;
    }
    const [flag, attached] = splitOnce(args[i]);
    const option = options.find(({ key, aliases = [] }) =>
      [key, ...aliases].some((name) => `--${name}` === flag),
    );
    if (!option) throw new Problem(`unknown option ${args[i]}\n\n${usage}`);
    if (option.key in values) throw new Problem(`${flag} is given twice`);
    if (attached === undefined) i += 1;
    const value = attached ?? args[i];
    if (value === undefined || value.startsWith('--')) {
      throw new Problem(`${flag} needs a value: ${option.help}`);
    }
    values[option.key] = checked(option, flag, value);
  }
  return { values, rest };
}

function checked({ check }, flag, value) {
  let expected;
  try {
    expected = check(value, flag);
  } catch (error) {
    throw new Problem(error.message, { cause: error });
  }
  if (expected) throw new Problem(`${flag} ${value}: expected ${expected}`);
  return value;
}

function splitOnce(argument) {
  const at = argument.startsWith('--') ? argument.indexOf('=') : -1;
  return at < 0 ? [argument, undefined] : [argument.slice(0, at), argument.slice(at + 1)];
}

/** Lines for --help: the option, what it is for, and below it what else is to be said of it. */
export function helpLines(options) {
  return options.flatMap(({ usage, help, more }) => [
    `  ${usage.padEnd(22)} ${help}`,
    ...(more ? [`  ${''.padEnd(22)}   ${more}`] : []),
  ]);
}

export const isName = (text) =>
  /^[A-Za-z0-9][A-Za-z0-9._-]*$/.test(text) ? undefined : 'letters, digits, dots, - and _';
export const isSomething = (text) => (text.trim() ? undefined : 'something');
export const isOneOf =
  (...names) =>
  (text) =>
    names.includes(text) ? undefined : `one of ${names.join(', ')}`;
export const isList = (text) =>
  /^[^,\s]+(,[^,\s]+)*$/.test(text) ? undefined : 'names separated by commas, without spaces';
export const isWhole = (least) => (text) =>
  /^\d+$/.test(text) && Number(text) >= least ? undefined : `a whole number from ${least} on`;
