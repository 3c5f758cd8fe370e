// HTML export of notebooks from .venv, by nbconvert or JupyterLab's menu: figures stay interactive.
import fs from 'node:fs';
import path from 'node:path';
import { inRoot, venv, writeFileAtomic } from './project.mjs';

const TEMPLATE = 'soft-prompts';
const SETTINGS = `${JSON.stringify({ HTMLExporter: { template_name: TEMPLATE } }, null, 2)}\n`;

/** What goes where below an environment's folder. */
function filesOf(prefix) {
  const templates = path.join(prefix, 'share', 'jupyter', 'nbconvert', 'templates');
  const template = (...parts) => path.join(templates, TEMPLATE, ...parts);
  const settings = (...parts) => path.join(prefix, 'etc', 'jupyter', ...parts);
  const own = (name) => fs.readFileSync(inRoot('scripts', 'nbconvert', name), 'utf8');
  const plotly = inRoot('node_modules', 'plotly.js-dist-min', 'plotly.min.js');
  return [
    { file: template('conf.json'), text: () => own('conf.json') },
    { file: template('index.html.j2'), text: () => own('index.html.j2') },
    { file: template('static', 'plotly.min.js'), text: () => fs.readFileSync(plotly, 'utf8') },
    { file: settings('jupyter_nbconvert_config.json'), text: () => SETTINGS },
    { file: settings('jupyter_server_config.json'), text: () => SETTINGS },
  ];
}

export const htmlExportIsDone = (prefix = venv) =>
  filesOf(prefix).every(({ file, text }) => fs.existsSync(file) && fs.readFileSync(file, 'utf8') === text());

export function makeHtmlExport(prefix = venv) {
  for (const { file, text } of filesOf(prefix)) writeFileAtomic(file, text());
}
