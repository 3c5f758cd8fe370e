/** The hub of hub-server.ts with one tiny repository, until its input ends: for tests/reference/hub_cache.py. */
import { shardedRepository } from './hub-checkpoint';
import { startHub } from './hub-server';

startHub(shardedRepository(process.argv[2])).then(
  (hub) => {
    process.stdout.write(`${hub.endpoint}\n`);
    process.stdin.resume().on('end', () => process.exit());
  },
  (error: Error) => {
    process.stderr.write(`${error.message}\n`);
    process.exit(1);
  });
