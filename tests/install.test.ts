/** What is installed is what was locked, and installing runs nothing. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import test, { after } from 'node:test';

const root = path.join(__dirname, '..');
const temporary = fs.mkdtempSync(path.join(os.tmpdir(), 'soft-prompts-install-'));
after(() => fs.rmSync(temporary, { recursive: true, force: true }));

const read = (...parts: string[]) => fs.readFileSync(path.join(root, ...parts), 'utf8');

interface Locked {
  readonly packages: Readonly<Record<string, { readonly version: string; readonly resolved?: string; readonly integrity?: string }>>;
}

test('Every package of package-lock.json has a SHA-512, and none comes from elsewhere than the registry.', () => {
  const { packages } = JSON.parse(read('package-lock.json')) as Locked;
  const names = Object.keys(packages).filter((name) => name !== '');
  assert.ok(names.length > 300);
  for (const name of names) {
    const { resolved } = packages[name];
    if (resolved !== undefined) assert.match(resolved, /^https:\/\/registry\.npmjs\.org\//, name);
    assert.match(packages[name].integrity ?? '', /^sha512-[\w+/]{86}==$/, name);
  }
});

test('package.json names exact versions.', () => {
  const { dependencies, devDependencies } = JSON.parse(read('package.json')) as Record<string, Record<string, string>>;
  const versions = Object.entries({ ...dependencies, ...devDependencies });
  assert.ok(versions.length > 10);
  for (const [name, version] of versions) assert.match(version, /^\d+\.\d+\.\d+$/, name);
});

/** Requirements with their options; a backslash continues a line. */
const requirements = (text: string) => text.replace(/\\\n/g, ' ').split('\n')
  .map((line) => line.replace(/(^|\s)#.*/, '').trim()).filter((line) => line !== '');

test('Every line that pip reads names one version and its SHA-256s.', () => {
  for (const file of ['requirements.txt', 'scripts/lib/tensorflow-cpu.txt', 'scripts/lib/tensorflow-gpu.txt']) {
    const lines = requirements(read(file));
    assert.ok(lines.length > 0, file);
    for (const line of lines) assert.match(line, /^[\w.[\],-]+==[\w.+!]+( *;[^#]*?)?( +--hash=sha256:[0-9a-f]{64})+$/, `${file}: ${line}`);
  }
});

test('Installing a package runs none of its scripts.', () => {
  const made = path.join(temporary, 'made');
  const scripts = { preinstall: `node -e "require('fs').writeFileSync(process.env.MADE, '')"` };
  fs.writeFileSync(path.join(temporary, 'package.json'), JSON.stringify({ name: 'x', version: '1.0.0', scripts }));
  const install = () => {
    // npm, when it runs these tests, sets its own settings for the programs it starts
    const environment = Object.entries(process.env).filter(([name]) => !/^npm_|^NODE_OPTIONS$/.test(name));
    const { status, stderr } = spawnSync('npm', ['install', '--offline'], {
      cwd: temporary, encoding: 'utf8', env: { ...Object.fromEntries(environment), MADE: made },
    });
    assert.equal(status, 0, stderr);
    return fs.existsSync(made);
  };
  fs.copyFileSync(path.join(root, '.npmrc'), path.join(temporary, '.npmrc'));
  assert.equal(install(), false);
  fs.rmSync(path.join(temporary, '.npmrc'));
  assert.equal(install(), true, 'without the setting npm runs them');
});
