import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import * as fs from 'node:fs';
import * as http from 'node:http';
import type { AddressInfo } from 'node:net';
import * as os from 'node:os';
import * as path from 'node:path';
import test from 'node:test';

import { fetchFiles, fetchFunctionVectors, findData, resolveData } from '../lib/data';
import { projectFolder } from '../lib/files';
import { loadTask, TASK_NAMES, taskFileName } from '../lib/tasks';

type Answer = (name: string, response: http.ServerResponse) => void;

/** Run `work` with an empty folder and a server that answers as told and notes what it was asked for. */
async function withServer(
  answer: Answer, work: (url: string, folder: string, asked: string[]) => Promise<void>,
): Promise<void> {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'soft-prompts-data-'));
  const asked: string[] = [];
  const server = http.createServer((request, response) => {
    const name = (request.url ?? '').replace('/lists/', '');
    asked.push(name);
    answer(name, response);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  try {
    await work(`http://127.0.0.1:${(server.address() as AddressInfo).port}/lists`, folder, asked);
  } finally {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
    fs.rmSync(folder, { recursive: true, force: true });
  }
}

const contents = new Map([['a.json', '["é"]\n'], ['b.json', '[2]'], ['c.json', '[]']]);
const hashes = new Map([...contents].map(([name, text]) => {
  const hash = createHash('sha256').update(text).digest('hex');
  return [name, { bytes: Buffer.byteLength(text), hash }];
}));
const impatient = { attempts: 1, mend: 'look elsewhere', wait: () => Promise.resolve() };
const serve: Answer = (name, response) => void response.end(contents.get(name) ?? '');

test('The embedded lists are found, a folder of one\'s own is itself, and a missing one is named.', async () => {
  assert.equal(findData('embedded'), path.join(projectFolder, 'data', 'tasks'));
  assert.equal(findData(os.tmpdir()), path.resolve(os.tmpdir()));
  assert.equal(await resolveData('embedded'), findData('embedded'));
  assert.throws(() => findData('/no/such/folder'), /data \/no\/such\/folder: folder \/no\/such\/folder is missing/);
  await assert.rejects(resolveData('/no/such/folder'), /folder \/no\/such\/folder is missing/);
});

test('The paper\'s lists are found when all six are there; else the error names those that are not.', () => {
  const folder = path.join(projectFolder, 'data', 'function-vectors');
  const missing = TASK_NAMES.map(taskFileName).filter((name) => !fs.existsSync(path.join(folder, name)));
  if (missing.length === 0) {
    assert.equal(findData('function-vectors'), folder);
    return;
  }
  assert.throws(() => findData('function-vectors'), ({ message }: Error) => (
    missing.every((name) => message.includes(name)) && message.includes(folder)));
});

test('Files are downloaded byte for byte, once; only a wrong or missing one is fetched again.', () => (
  withServer(serve, async (url, folder, asked) => {
    await fetchFiles(`${url}/`, hashes, path.join(folder, 'deep'), impatient);
    for (const [name, text] of contents) {
      assert.equal(fs.readFileSync(path.join(folder, 'deep', name), 'utf8'), text);
    }
    assert.deepEqual(asked.splice(0), ['a.json', 'b.json', 'c.json']);

    await fetchFiles(url, hashes, path.join(folder, 'deep'), impatient);
    assert.deepEqual(asked, []);

    fs.writeFileSync(path.join(folder, 'deep', 'b.json'), '[2');
    fs.rmSync(path.join(folder, 'deep', 'c.json'));
    await fetchFiles(url, hashes, path.join(folder, 'deep'), impatient);
    assert.deepEqual(asked, ['b.json', 'c.json']);
    assert.equal(fs.readFileSync(path.join(folder, 'deep', 'b.json'), 'utf8'), '[2]');
    assert.deepEqual(fs.readdirSync(path.join(folder, 'deep')).sort(), ['a.json', 'b.json', 'c.json']);
  })));

test('Other bytes than expected are refused with both hashes, and what was there stays.', () => (
  withServer((name, response) => void response.end(name === 'b.json' ? '[3]' : contents.get(name)),
    async (url, folder, asked) => {
      fs.writeFileSync(path.join(folder, 'b.json'), 'old');
      await assert.rejects(fetchFiles(url, hashes, folder, impatient), ({ message }: Error) => {
        // echo -n '[3]' | sha256sum
        const found = '06d033ece6645de592db973644cf7357255f24536ff7b03c3b2ace10736f7636';
        const expected = hashes.get('b.json')!.hash;
        assert.equal(
          message, `${url}/b.json: SHA-256: expected ${expected}, found ${found}; fetched twice and thrown away`);
        return true;
      });
      assert.deepEqual(asked, ['a.json', 'b.json', 'b.json']);
      assert.deepEqual(fs.readdirSync(folder).sort(), ['a.json', 'b.json']);
      assert.equal(fs.readFileSync(path.join(folder, 'b.json'), 'utf8'), 'old');
    })));

test('More bytes than expected are refused before they are taken, announced or not.', async () => {
  for (const announced of [true, false]) {
    const large: Answer = (_name, response) => {
      if (announced) response.setHeader('content-length', 1e12);
      response.write('x'.repeat(1000));
      response.write('x'.repeat(1000));
    };
    await withServer(large, async (url, folder) => {
      await assert.rejects(fetchFiles(url, hashes, folder, impatient), announced
        ? /a\.json: expected 7 bytes, found 1000000000000; fetched twice/ : /a\.json: expected 7 bytes, found more; fetched twice/);
      assert.deepEqual(fs.readdirSync(folder), []);
    });
  }
});

test('A status other than 200 is refused with address and status; one that may pass is tried again.', async () => {
  await withServer((_name, response) => void response.writeHead(404).end('nothing here'), async (url, folder) => {
    const message = `${url}/a.json: expected status 200, found 404 Not Found`;
    await assert.rejects(fetchFiles(url, hashes, folder, impatient), { message });
    assert.ok(!fs.existsSync(path.join(folder, 'a.json')));
  });
  let times = 0;
  const busy: Answer = (name, response) => {
    if (times++ % 2 === 0) response.writeHead(503, { 'retry-after': '9' }).end();
    else serve(name, response);
  };
  const waited: number[] = [];
  const wait = async (milliseconds: number) => void waited.push(milliseconds);
  await withServer(busy, async (url, folder) => {
    await fetchFiles(url, hashes, folder, { wait });
    assert.deepEqual(fs.readdirSync(folder).sort(), ['a.json', 'b.json', 'c.json']);
    assert.deepEqual(waited, [9000, 9000, 9000]);
  });
});

test('A connection cut in the middle of a file, no server, and a silent one are each told, with the mend.', async () => {
  const cut: Answer = (_name, response) => {
    response.writeHead(200, { 'content-length': 7 });
    response.write('[', () => response.destroy());
  };
  let closed = '';
  await withServer(cut, async (url, folder) => {
    closed = url;
    await assert.rejects(
      fetchFiles(url, hashes, folder, impatient), /a\.json: the connection broke off after 1 of 7 bytes; mend: look/);
    assert.ok(!fs.existsSync(path.join(folder, 'a.json')));
  });
  await withServer(() => undefined, async (url, folder) => {
    await assert.rejects(
      fetchFiles(url, hashes, folder, { ...impatient, seconds: 0.1 }), /a\.json: no answer \(.*timeout.*\); mend: look/);
    await assert.rejects(
      fetchFiles(closed, hashes, folder, impatient), /no answer \(.*ECONNREFUSED.*\); mend: look elsewhere/);
  });
});

test('The paper\'s lists come from SOFT_PROMPTS_DATA_URL where it is set, checked against their hashes.', () => (
  withServer(serve, async (url, folder, asked) => {
    const before = process.env.SOFT_PROMPTS_DATA_URL;
    process.env.SOFT_PROMPTS_DATA_URL = url;
    try {
      await assert.rejects(
        fetchFunctionVectors({ folder }),
        /lists\/country-capital\.json: expected 11698 bytes, found \d+; fetched twice and thrown away/);
    } finally {
      if (before === undefined) delete process.env.SOFT_PROMPTS_DATA_URL;
      else process.env.SOFT_PROMPTS_DATA_URL = before;
    }
    assert.deepEqual(asked, ['country-capital.json', 'country-capital.json']);
    assert.deepEqual(fs.readdirSync(folder), []);
  })));

const originals = path.join(projectFolder, '..', 'shared', 'datasets');
const noOriginals = !fs.existsSync(originals) && 'the authors\' lists are not beside the project';
test('The authors\' lists pass the checks and give a task of each paper size.', { skip: noOriginals }, () => (
  withServer((name, response) => void response.end(fs.readFileSync(path.join(originals, name))), async (url, folder) => {
    assert.equal(await fetchFunctionVectors({ url, folder }), folder);
    assert.deepEqual(fs.readdirSync(folder).sort(), TASK_NAMES.map(taskFileName).sort());
    // reference: the sizes that the authors published
    const sizes = { country_capital: [157, 40], landmark_country: [668, 168], present_past: [234, 59],
      singular_plural: [164, 41], capitalize_first_letter: [650, 163], lowercase_first_letter: [651, 163] };
    for (const [name, [train, tests]] of Object.entries(sizes)) {
      const task = loadTask(name, { folder, template: 'plain' });
      assert.deepEqual([task.train.length, task.test.length], [train, tests], name);
    }
  })));
