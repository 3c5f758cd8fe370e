import { join } from 'node:path';

/** Where things lie. Everything that is made goes to build/, which git ignores. */
export const here = __dirname;
export const tablesFolder = join(here, 'tables');
export const buildFolder = join(here, 'build');
export const tasksFolder = join(here, '..', '..', 'data', 'tasks');
export const modulesFolder = join(here, 'node_modules');
