/**
 * One headless Chromium for the process: started at the first need, reused, gone when the process is.
 *
 * The browser comes inside the npm package @sparticuz/chromium (64-bit Linux) or is the machine's own Chrome
 * or Chromium. Nothing it shows comes from the network, and it may not reach it.
 */
import { execFileSync } from 'node:child_process';
import {
  accessSync, chmodSync, constants, createReadStream, createWriteStream, existsSync, mkdirSync,
  mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { brotliDecompressSync, createBrotliDecompress } from 'node:zlib';
import type { Browser } from 'puppeteer-core';
import { projectFolder } from './files';

const load = createRequire(__filename);

/** A started browser and the folder of its profile, which goes with it. */
interface Session {
  readonly browser: Browser;
  readonly profile: string;
}

// The only state: a second browser would cost 150 MB and a second for nothing.
let session: Promise<Session> | undefined;
let jobs = 0;

/**
 * Run a job with the process's browser, starting it where needed.
 * Between jobs the browser does not keep Node from ending. Throws where no browser can be started; the
 * message is one line that says what to do.
 */
export async function withBrowser<Result>(job: (browser: Browser) => Promise<Result>): Promise<Result> {
  session ??= startSession();
  const current = session;
  let started: Session;
  try {
    started = await current;
  } catch (error) {
    if (session === current) session = undefined;
    throw error;
  }
  jobs += 1;
  keepAlive(started.browser, true);
  try {
    return await job(started.browser);
  } finally {
    jobs -= 1;
    if (jobs === 0) keepAlive(started.browser, false);
  }
}

/** End the browser, if one was started; a later job starts another. */
export async function closeBrowser(): Promise<void> {
  const current = session;
  session = undefined;
  const started = await current?.catch(() => undefined);
  if (started === undefined) return;
  keepAlive(started.browser, true);
  await started.browser.close().catch(() => undefined);
  removeProfile(started.profile);
}

/** A browser that is on its way out may still write into its profile; what then stays in the temporary folder harms nobody. */
function removeProfile(profile: string): void {
  try {
    rmSync(profile, { recursive: true, force: true, maxRetries: 5, retryDelay: 50 });
  } catch {
    // thrown from an exit or disconnect handler it would end a process whose work is done as a failure
  }
}

/** Whether Node waits for the browser's process and pipes before it ends. */
function keepAlive(browser: Browser, alive: boolean): void {
  const child = browser.process();
  for (const handle of [child, ...(child?.stdio ?? [])]) {
    const held = handle as { ref?: () => void; unref?: () => void } | null;
    if (alive) held?.ref?.();
    else held?.unref?.();
  }
}

async function startSession(): Promise<Session> {
  const failures: string[] = [];
  for (const candidate of candidates()) {
    try {
      return await launch(await candidate.prepare());
    } catch (error) {
      failures.push(`${candidate.name}: ${firstLine(error)}`);
    }
  }
  const reasons = failures.length === 0 ? 'none found' : failures.join('; ');
  throw new Error(
    `no browser for static figures (${reasons}). Run \`npm ci\` for the packaged one, or set CHROME_PATH to `
    + 'a Chrome or Chromium program.',
  );
}

function firstLine(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  const lines = message.split('\n').map((line) => line.trim());
  // Puppeteer's first line says only that it failed; the loader's or Chromium's own line says why.
  return lines.find((line) => /error while loading|ERROR|FATAL/.test(line)) ?? lines[0];
}

/** How to start one program. */
interface Program {
  readonly path: string;
  /** shared libraries to offer where the machine has none of its own */
  readonly libraries?: string;
}

interface Candidate {
  readonly name: string;
  prepare(): Promise<Program>;
}

/** CHROME_PATH alone where it is set; else the packaged browser, then the machine's own. */
function candidates(): Candidate[] {
  const chosen = process.env.CHROME_PATH;
  if (chosen !== undefined && chosen !== '') return [system(chosen)];
  const packaged: Candidate[] = process.platform === 'linux' && process.arch === 'x64'
    ? [{ name: '@sparticuz/chromium', prepare: unpackChromium }]
    : [];
  return [...packaged, ...systemBrowsers().map(system)];
}

function system(path: string): Candidate {
  return {
    name: path,
    prepare: () => (existsSync(path) ? Promise.resolve({ path }) : Promise.reject(new Error('no such file'))),
  };
}

function systemBrowsers(): string[] {
  const names = [
    'google-chrome-stable', 'google-chrome', 'chromium', 'chromium-browser', 'chrome-headless-shell',
  ];
  const folders = (process.env.PATH ?? '').split(delimiter).filter((folder) => folder !== '');
  const fixed = [
    '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
    '/Applications/Chromium.app/Contents/MacOS/Chromium',
    ...['PROGRAMFILES', 'PROGRAMFILES(X86)', 'LOCALAPPDATA'].flatMap((name) => {
      const root = process.env[name];
      return root === undefined ? [] : [join(root, 'Google', 'Chrome', 'Application', 'chrome.exe')];
    }),
  ];
  const onPath = folders.flatMap((folder) => names.map((name) => join(folder, name)));
  return [...onPath, ...fixed].filter(isProgram);
}

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/**
 * The packaged browser, unpacked once (3 s, 200 MB) into a folder of this project.
 * Not by the package's own function, which unpacks to fixed names in the machine's shared temporary folder,
 * where a second process finds half a file and another user can put one.
 */
async function unpackChromium(): Promise<Program> {
  const bin = join(dirname(load.resolve('@sparticuz/chromium')), '..', '..', 'bin');
  const manifest = JSON.parse(readFileSync(join(bin, '..', 'package.json'), 'utf8')) as { version: string };
  const cache = cacheFolder();
  const target = join(cache, `chromium-${manifest.version}`);
  const program = { path: join(target, 'chromium'), libraries: join(target, 'lib') };
  if (existsSync(target)) return program;
  const part = mkdtempSync(join(cache, 'unpacking-'));
  try {
    await pipeline(
      createReadStream(join(bin, 'chromium.br')),
      createBrotliDecompress(),
      createWriteStream(join(part, 'chromium')),
    );
    chmodSync(join(part, 'chromium'), 0o755);
    writeFileSync(join(part, 'lib.tar'), brotliDecompressSync(readFileSync(join(bin, 'al2023.tar.br'))));
    execFileSync('tar', ['-xf', 'lib.tar'], { cwd: part, stdio: 'pipe' });
    rmSync(join(part, 'lib.tar'));
    renameSync(part, target);
  } catch (error) {
    rmSync(part, { recursive: true, force: true });
    if (!existsSync(target)) throw error; // else another process was faster
  }
  return program;
}

/** node_modules/.cache of the project, or a private temporary folder where that cannot be written. */
function cacheFolder(): string {
  const folder = join(projectFolder, 'node_modules', '.cache', 'soft-prompts');
  try {
    mkdirSync(folder, { recursive: true });
    accessSync(folder, constants.W_OK);
    return folder;
  } catch {
    const made = mkdtempSync(join(tmpdir(), 'soft-prompts-chromium-'));
    process.once('exit', () => { rmSync(made, { recursive: true, force: true }); });
    return made;
  }
}

const FLAGS = [
  '--disable-gpu', '--disable-dev-shm-usage', '--no-zygote', '--no-first-run', '--disable-extensions',
  '--disable-background-networking', '--host-resolver-rules=MAP * ~NOTFOUND', '--font-render-hinting=none',
  '--force-color-profile=srgb',
];

/** Try with Chromium's sandbox where the user may have one, without where it is refused. */
async function launch(program: Program): Promise<Session> {
  const root = process.getuid?.() === 0;
  const ways = [
    ...(root ? [] : [{ flags: FLAGS, libraries: undefined }]),
    { flags: [...FLAGS, '--no-sandbox'], libraries: undefined },
    ...(program.libraries === undefined
      ? []
      : [{ flags: [...FLAGS, '--no-sandbox'], libraries: program.libraries }]),
  ];
  const failures: unknown[] = [];
  for (const way of ways) {
    try {
      return await launchOnce(program.path, way.flags, way.libraries);
    } catch (error) {
      failures.push(error);
    }
  }
  throw failures[failures.length - 1];
}

async function launchOnce(path: string, flags: readonly string[], libraries?: string): Promise<Session> {
  const { launch: start } = await import('puppeteer-core');
  const profile = mkdtempSync(join(tmpdir(), 'soft-prompts-browser-'));
  try {
    const browser = await start({
      executablePath: path,
      headless: 'shell',
      // A pipe, so that the browser ends by itself when this process dies in whatever way.
      pipe: true,
      args: [...flags],
      userDataDir: profile,
      timeout: 30_000,
      env: libraries === undefined ? process.env : { ...process.env, LD_LIBRARY_PATH: libraries },
      // Ctrl-C belongs to the notebook kernel.
      handleSIGINT: false, handleSIGTERM: false, handleSIGHUP: false,
    });
    const kill = (): void => {
      browser.process()?.kill('SIGKILL');
      removeProfile(profile);
    };
    process.once('exit', kill);
    browser.once('disconnected', () => {
      session = undefined;
      process.removeListener('exit', kill);
      removeProfile(profile);
    });
    return { browser, profile };
  } catch (error) {
    removeProfile(profile);
    throw error;
  }
}
