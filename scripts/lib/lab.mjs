// What `npm run lab` starts JupyterLab with.
import { inRoot } from './project.mjs';

/**
 * Its command line. It listens on this machine alone, whatever the user's Jupyter settings say, and its token is on
 * unless they turn it off; `given` comes last and wins.
 */
export const labArguments = (given = []) => [
  '-m',
  'jupyterlab',
  `--notebook-dir=${inRoot()}`,
  '--ServerApp.ip=127.0.0.1',
  '--LabApp.default_url=/lab/tree/notebooks',
  '--MultiKernelManager.default_kernel_name=tslab',
  ...given,
];
