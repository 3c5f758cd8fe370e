/** A process of its own that resolves a model: node --import tsx tests/hub-process.ts MODEL. See hub-faults.test.ts. */
import { resolveModel } from '../lib/hub';

resolveModel(process.argv[2]).then(
  (model) => process.stdout.write(JSON.stringify(model)),
  (error: Error) => {
    process.stderr.write(error.message);
    process.exitCode = 1;
  });
