"""Runs notebooks from top to bottom with the TypeScript kernel and says, cell by cell, how far it is.

Called by scripts/start.mjs and scripts/test.mjs with the Python of .venv. Stops at the first failing cell
(with --keep-going: of each notebook) and says which one, its source and its error. Exit code 0, 1 (failed) or
130 (stopped).
"""

import argparse
import asyncio
import copy
import json
import os
import queue
import re
import shutil
import signal
import sys
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, DeadKernelError

KERNEL = 'tslab'
GENTLE_SECONDS = 20  # what a cell gets to end by itself after Ctrl-C
REPEAT_SECONDS = 1  # a terminal and npm may both pass on one Ctrl-C
LINE_SECONDS = 10  # without a terminal: at most one line of progress in this time
ASYNCHRONOUS_FAILURE = re.compile(r'^(UnhandledPromiseRejection|UncaughtException):', re.M)
INNER_FRAMES = re.compile(
    r'^\s+at .*(node:(vm|internal)|/tslab/dist/).*\n?', re.M
)  # of the kernel, not of the cell
ESCAPES = re.compile(r'\x1b\[[0-9;?]*[A-Za-z]')


class Failure(Exception):
    """A notebook failed; the message says all the user needs."""


class Stopped(Exception):
    """The user stopped the run."""


class Progress:
    """One line on the terminal, rewritten in place; elsewhere a new line now and then."""

    def __init__(self):
        self.in_place = sys.stdout.isatty()
        self.text = ''
        self.printed = ''
        self.since = time.monotonic()
        self.last = time.monotonic()

    def begin(self, title):
        self.text = ''
        self.since = self.last = time.monotonic()
        self.title = title
        if not self.in_place:
            print(title, flush=True)

    def seconds(self):
        return time.monotonic() - self.since

    def show(self, text):
        self.text = text
        self.refresh()

    def refresh(self):
        if self.in_place:
            line = f'{self.title}  {self.seconds():.0f} s  {self.text}'
            width = shutil.get_terminal_size().columns - 1
            sys.stdout.write(f'\r\x1b[K{line[:width]}')
            sys.stdout.flush()
        elif time.monotonic() - self.last >= LINE_SECONDS and self.text != self.printed:
            print(f'    {self.seconds():.0f} s  {self.text}', flush=True)
            self.last, self.printed = time.monotonic(), self.text

    def end(self, text):
        if self.in_place:
            print(f'\r\x1b[K{self.title}  {text}', flush=True)
        else:
            print(f'    {text}', flush=True)


class Run:
    """One notebook in one kernel."""

    def __init__(self, path, cwd, log, progress):
        self.path, self.log, self.progress = path, log, progress
        self.notebook = nbformat.read(path, as_version=4)
        self.metadata = copy.deepcopy(self.notebook.metadata)
        self.code_cells = [i for i, cell in enumerate(self.notebook.cells) if cell.cell_type == 'code']
        for index in self.code_cells:
            self.notebook.cells[index].outputs = []
            self.notebook.cells[index].execution_count = None
        self.client = NotebookClient(
            self.notebook,
            kernel_name=KERNEL,
            timeout=None,
            startup_timeout=120,
            iopub_timeout=60,
            record_timing=False,
            coalesce_streams=True,
            resources={'metadata': {'path': str(cwd)}},
        )
        self.position = 0  # of the running code cell, from 1
        self.cell_of_request = {}
        self.late_failure = None
        self.stopped = False
        self.bar = ''

    async def execute(self):
        """Runs every code cell. Raises Failure; leaves what was computed so far in self.notebook."""
        with open(self.log, 'w') as log:
            try:
                await self.start_kernel(log)
                for position, index in enumerate(self.code_cells, 1):
                    self.position, self.bar = position, ''
                    self.say()
                    await self.execute_cell(index)
                await self.wait_for_late_failures()
            except DeadKernelError:
                raise Failure(self.describe('the kernel died (out of memory?)', self.end_of_log())) from None
            finally:
                await self.end_kernel()
                self.notebook.metadata = (
                    self.metadata
                )  # as they were written: two runs differ only in outputs

    async def start_kernel(self, log):
        """As NotebookClient.async_setup_kernel, but without its signal handlers: Ctrl-C is ours."""
        self.client.create_kernel_manager()
        await self.client.async_start_new_kernel(stdout=log, stderr=log)
        await self.client.async_start_new_kernel_client()
        await self.ask_language()
        self.watch_messages()

    async def end_kernel(self):
        manager, channels = self.client.km, self.client.kc
        if manager is None or not manager.has_kernel:
            return
        group = getattr(manager.provisioner, 'pgid', None)
        try:
            await manager.shutdown_kernel(now=self.stopped)
            if channels:
                channels.stop_channels()
        finally:
            end_group(group)

    async def ask_language(self):
        """Viewers colour the cells by it."""
        reply = await self.client.async_wait_for_reply(self.client.kc.kernel_info())
        self.metadata['language_info'] = reply['content']['language_info']

    async def execute_cell(self, index):
        cell = self.notebook.cells[index]
        try:
            await self.client.async_execute_cell(cell, index, execution_count=self.position)
        except CellExecutionError:
            raise Failure(self.describe('failed', streams_of(cell))) from None
        self.raise_late_failure()

    def watch_messages(self):
        """Sees every message of the kernel, also those that nbclient drops because their cell has ended."""
        channel = self.client.kc.iopub_channel
        get_message = channel.get_msg

        async def get_and_watch(*args, **kwargs):
            message = await get_message(*args, **kwargs)
            self.watch(message)
            return message

        channel.get_msg = get_and_watch

    def watch(self, message):
        kind, content = message['msg_type'], message['content']
        request = message['parent_header'].get('msg_id')
        if kind == 'execute_input':
            self.cell_of_request[request] = self.position
        elif kind in ('display_data', 'update_display_data'):
            if (content.get('transient') or {}).get('display_id') and 'text/plain' in content['data']:
                lines = ESCAPES.sub('', str(content['data']['text/plain'])).strip().splitlines()
                self.bar = lines[-1] if lines else ''
                self.say()
        elif (
            kind == 'stream' and content['name'] == 'stderr' and ASYNCHRONOUS_FAILURE.search(content['text'])
        ):
            self.late_failure = self.late_failure or (
                self.cell_of_request.get(request, self.position),
                content['text'],
            )

    async def wait_for_late_failures(self):
        """A promise nobody waits for may be rejected just after its cell has ended."""
        try:
            while True:
                await self.client.kc.iopub_channel.get_msg(timeout=0.3)
        except queue.Empty:
            pass
        self.raise_late_failure()

    def raise_late_failure(self):
        if self.late_failure:
            self.position, text = self.late_failure
            raise Failure(
                self.describe(
                    'or one before it left a rejected promise or an error that nothing caught',
                    INNER_FRAMES.sub('', text),
                )
            )

    def say(self):
        self.progress.show(f'cell {self.position} of {len(self.code_cells)}  {self.bar}'.rstrip())

    def describe(self, what, error):
        if not self.position:
            return f'{self.path.name}: {what} before the first cell\n{indent(error)}'
        source = self.notebook.cells[self.code_cells[self.position - 1]].source
        return (
            f'{self.path.name}: code cell {self.position} of {len(self.code_cells)} {what}\n'
            f'  its source:\n{indent(source)}\n  its output:\n{indent(error)}'
        )

    def end_of_log(self):
        lines = self.log.read_text(errors='replace').splitlines()[-20:]
        return '\n'.join(lines) or '(the kernel printed nothing)'


def streams_of(cell):
    texts = [output.get('text', '') for output in cell.outputs if output.output_type == 'stream']
    return INNER_FRAMES.sub('', ESCAPES.sub('', ''.join(texts))).strip() or '(the cell printed nothing)'


def indent(text):
    return '\n'.join(f'    {line}' for line in text.splitlines())


def end_group(group):
    """Ends what the kernel started and left running (worker processes)."""
    if group:
        try:
            os.killpg(group, signal.SIGTERM)
        except (ProcessLookupError, PermissionError):
            pass


def write_notebook(notebook, path):
    """Whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f'.{path.name}.{os.getpid()}.tmp')
    nbformat.write(notebook, temporary)
    with open(temporary, 'rb') as file:
        os.fsync(file.fileno())
    os.replace(temporary, path)


async def run_one(path, options, progress, stop):
    """Returns a record of the notebook; raises Stopped when the user stopped it."""
    run = Run(path, path.parent, options.cache / f'kernel-{path.stem}.log', progress)
    problem = None
    task = asyncio.ensure_future(run.execute())
    ticker = asyncio.ensure_future(tick(progress))
    stop.watch(run, task)
    try:
        await task
    except Failure as failure:
        problem = str(failure)
    except asyncio.CancelledError:
        problem = f'{path.name}: stopped'
    except Exception as error:  # a kernel that does not start, a broken notebook
        problem = run.describe(f'could not be run: {type(error).__name__}: {error}', run.end_of_log())
    finally:
        ticker.cancel()
        stop.watch(None, None)
    failed = options.cache / 'failed' / path.name
    if stop.asked:
        write_notebook(run.notebook, failed)
        progress.end(f'stopped; the notebook as far as it came: {os.path.relpath(failed)}')
        raise Stopped
    seconds = round(progress.seconds(), 1)
    if problem is None:
        target = options.output / path.name if options.output else path
        write_notebook(run.notebook, target)
        progress.end(f'{len(run.code_cells)} cells done in {seconds} s')
    else:
        write_notebook(run.notebook, failed)
        progress.end(f'FAILED after {seconds} s')
        print(f'{problem}\n  the notebook as far as it came: {os.path.relpath(failed)}', flush=True)
    return {'notebook': path.name, 'ok': problem is None, 'seconds': seconds, 'problem': problem}


async def tick(progress):
    while True:
        await asyncio.sleep(0.5)
        progress.refresh()


class Stop:
    """Ctrl-C: first interrupts the cell; ends the kernel when that takes too long or at a second Ctrl-C."""

    def __init__(self):
        self.asked = False
        self.at = 0
        self.run = self.task = None

    def watch(self, run, task):
        self.run, self.task = run, task
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self.on_signal)

    def on_signal(self):
        if time.monotonic() - self.at < REPEAT_SECONDS:
            return
        self.at = time.monotonic()
        if self.asked and self.task:
            self.task.cancel()
        elif not self.asked:
            self.asked = True
            print(f'\nstopping the running cell (Ctrl-C again, or {GENTLE_SECONDS} s: at once)', flush=True)
            if self.task:
                self.run.stopped = True
                asyncio.ensure_future(self.end_gently(self.run.client.km, self.task))

    async def end_gently(self, manager, task):
        if manager is None or not manager.has_kernel:
            task.cancel()
            return
        await manager.interrupt_kernel()
        _, running = await asyncio.wait([task], timeout=GENTLE_SECONDS)
        if running:
            task.cancel()


async def main(options):
    options.cache.mkdir(parents=True, exist_ok=True)
    progress, stop, records = Progress(), Stop(), []
    code = 0
    for number, path in enumerate(options.notebooks, 1):
        progress.begin(f'[{number} of {len(options.notebooks)}] {path.stem}')
        try:
            records.append(await run_one(path, options, progress, stop))
        except Stopped:
            code = 130
            break
        if not records[-1]['ok']:
            code = 1
            if not options.keep_going:
                break
    if options.results:
        options.results.write_text(json.dumps(records))
    return code


def parse():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('notebooks', nargs='+', type=Path)
    parser.add_argument('--output', type=Path, help='folder for the executed notebooks (default: in place)')
    parser.add_argument(
        '--cache', type=Path, required=True, help='folder for kernel logs and failed notebooks'
    )
    parser.add_argument(
        '--keep-going', action='store_true', help='after a failure go on with the next notebook'
    )
    parser.add_argument(
        '--results', type=Path, help='write a JSON list of { notebook, ok, seconds, problem }'
    )
    return parser.parse_args()


if __name__ == '__main__':
    sys.exit(asyncio.run(main(parse())))
