/** Writes the adapter folders of fixtures/adapters by lib, for adapters.py: node --import tsx tests/reference/write-adapters.ts */
import { ADAPTERS_FOLDER, writeFixtureAdapters } from '../adapter-fixtures';

writeFixtureAdapters(ADAPTERS_FOLDER);
