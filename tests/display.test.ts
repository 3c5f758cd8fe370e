import assert from 'node:assert/strict';
import { afterEach, test } from 'node:test';
import { clock, progressBar, progressBarFor, progressText, show } from '../lib/display';
import { taskMatrix } from '../lib/figures-neighbours';
import { frame } from '../lib/tables';

interface Output {
  readonly data: Record<string, unknown>;
  readonly displayId: string | undefined;
  readonly update: boolean;
}

const KERNEL = '/somewhere/node_modules/tslab/dist/jupyter.js';

/** Put a module where the kernel's would be among the loaded ones; it keeps what a cell would show. */
function pretendKernel(): Output[] {
  const outputs: Output[] = [];
  const lastWriteDisplayData = (
    message: { data: Record<string, unknown>; transient: { display_id?: string } },
    update: boolean,
  ): void => {
    outputs.push({ data: message.data, displayId: message.transient.display_id, update });
  };
  require.cache[KERNEL] = { exports: { lastWriteDisplayData } } as NodeJS.Module;
  return outputs;
}

afterEach(() => {
  delete require.cache[KERNEL];
});

/** What is written to a stream while the job runs. */
async function written(stream: NodeJS.WriteStream, job: () => unknown): Promise<string> {
  const original = stream.write.bind(stream);
  let text = '';
  stream.write = ((piece: string) => {
    text += piece;
    return true;
  }) as typeof stream.write;
  try {
    await job();
  } finally {
    stream.write = original;
  }
  return text;
}

test('in a cell a table is one output: HTML, LaTeX and text', async () => {
  const outputs = pretendKernel();
  await show(frame({ token: ['<script>'] }), { caption: 'Tokens' });
  assert.equal(outputs.length, 1);
  assert.deepEqual(Object.keys(outputs[0].data).sort(), ['text/html', 'text/latex', 'text/plain']);
  assert.match(String(outputs[0].data['text/html']), /&lt;script&gt;/);
  assert.match(String(outputs[0].data['text/plain']), /^Tokens\n/);
});

test('in a cell a figure is Plotly JSON as an object, enlarged, with a text beside it', async () => {
  const outputs = pretendKernel();
  await show(taskMatrix(['a'], [[3]]), { caption: 'Table 3', staticImage: false, scale: 2 });
  assert.equal(outputs.length, 1);
  const plotly = outputs[0].data['application/vnd.plotly.v1+json'] as {
    data: unknown[];
    layout: { width: number };
  };
  assert.equal(plotly.data.length, 1);
  assert.equal(plotly.layout.width, 666);
  assert.equal(outputs[0].data['text/plain'], '[figure: Table 3, 1 traces]');
});

test('without a browser a figure is still shown, after one line that says what to do', async () => {
  const outputs = pretendKernel();
  const before = process.env.CHROME_PATH;
  process.env.CHROME_PATH = '/no/such/browser';
  try {
    const line = await written(process.stderr, () => show(taskMatrix(['a'], [[3]])));
    assert.match(
      line,
      /^static image left out: no browser .*\/no\/such\/browser: no such file.*npm ci.*CHROME_PATH.*\n$/,
    );
  } finally {
    if (before === undefined) delete process.env.CHROME_PATH;
    else process.env.CHROME_PATH = before;
  }
  assert.deepEqual(Object.keys(outputs[0].data).sort(), ['application/vnd.plotly.v1+json', 'text/plain']);
});

test('strings are HTML where they begin with a tag, Markdown otherwise, or text as asked', async () => {
  const outputs = pretendKernel();
  await show('<p>bold</p>');
  await show('**bold**');
  await show('<raw>', { as: 'text' });
  assert.deepEqual(
    outputs.map((output) => output.data),
    [
      { 'text/html': '<p>bold</p>', 'text/plain': 'bold' },
      { 'text/markdown': '**bold**', 'text/plain': '**bold**' },
      { 'text/plain': '<raw>' },
    ],
  );
});

test('outside a notebook things are printed as text', async () => {
  const text = await written(process.stdout, async () => {
    await show(frame({ word: ['cat'] }));
    await show(taskMatrix(['a'], [[3]]));
  });
  assert.equal(text, 'word\n────\ncat\n[figure, 1 traces]\n');
});

test('a progress line shows the share, the time left by proportion, and the note', () => {
  assert.equal(
    progressText('training', { done: 34, total: 100, seconds: 34, note: 'loss 0.42' }),
    'training ██████░░░░░░░░░░░░░░  34 %  1:06 left · loss 0.42',
  );
  assert.equal(
    progressText('training', { done: 0, total: 100, seconds: 3 }),
    'training ░░░░░░░░░░░░░░░░░░░░   0 %  –:–– left',
  );
  assert.equal(
    progressText('t', { done: 5, total: 5, seconds: 65, ended: true }),
    't ████████████████████ 100 %  took 1:05',
  );
});

test('a progress line survives odd numbers', () => {
  for (const done of [NaN, -1, Infinity, 7]) {
    for (const total of [NaN, 0, -1, Infinity, 5]) {
      assert.match(
        progressText('t', { done, total, seconds: NaN, note: 'a\nb' }),
        /^t [█░]{20} +\d+ % {2}.* left · a b$/,
      );
    }
  }
});

test('times are minutes and seconds, with hours only where there are any', () => {
  assert.deepEqual([7, 751, 10_965, 59.6].map(clock), ['0:07', '12:31', '3:02:45', '1:00']);
});

test('in a cell a progress bar updates one output, at most four times a second', () => {
  const outputs = pretendKernel();
  const bar = progressBar('training', 1000);
  for (let done = 1; done <= 1000; done += 1) bar.update(done);
  bar.finish('done');
  assert.ok(outputs.length >= 2 && outputs.length <= 6, `${outputs.length} outputs for 1000 updates`);
  assert.equal(new Set(outputs.map((output) => output.displayId)).size, 1);
  assert.notEqual(outputs[0].displayId, undefined);
  assert.deepEqual(
    outputs.map((output) => output.update),
    outputs.map((_, i) => i > 0),
  );
  assert.match(String(outputs[outputs.length - 1].data['text/plain']), /100 % {2}took 0:0\d · done$/);
});

test('a job that tells its progress gets a bar of what is left, finished once', () => {
  const outputs = pretendKernel();
  const texts = () => outputs.map(({ data }) => String(data['text/plain']));
  const tell = progressBarFor('model');
  assert.equal(outputs.length, 0);
  tell({ done: 0, resumed: 0, total: 0, note: 'waiting for process 7' });
  tell({ done: 60, resumed: 60, total: 100, note: '' });
  tell({ done: 100, resumed: 60, total: 100, note: 'all there' });
  const count = outputs.length;
  tell({ done: 100, resumed: 60, total: 100, note: 'again' });
  assert.equal(outputs.length, count);
  assert.match(texts()[count - 1], /^model █{20} 100 % {2}took 0:0\d · all there$/);
  assert.match(texts()[0], /^model ░{20} +0 %/);
});

test('a progress bar whose output is gone does not end the job', () => {
  require.cache[KERNEL] = {
    exports: {
      lastWriteDisplayData: () => {
        throw new Error('socket closed');
      },
    },
  } as unknown as NodeJS.Module;
  const bar = progressBar('training', 2);
  bar.update(1);
  bar.finish();
});
