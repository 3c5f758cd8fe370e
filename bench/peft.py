"""Prompt tuning with PEFT and PyTorch, and with this project, in turn (A B A B) on the same models and batches.

    python bench/peft.py [--only train-6x256,train-124m,train-xl,evaluate] [--rounds 2] [--seconds 20] [--json FILE]

Needs the packages of tests/reference/requirements.txt. A is PEFT as its users run it: one run after another, eight examples
a batch, padded on the left to the batch's longest, all cores inside operations; without dropout, as ours. B is `npm run bench`
with many runs a step. Both take the batches of bench/batches.ts and random weights of the same shape. The last two columns are
the ratios that would come out if a step of ours were nothing but its products with the weights: done as fast as TensorFlow does them
at their shapes, and at this machine's matrix-product peak, which no program that does these multiplications can exceed.
"""

import argparse
import json
import pathlib
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
# `import peft` means the package, not this file.
sys.path = [folder for folder in sys.path if pathlib.Path(folder or '.').resolve() != ROOT / 'bench']
SHAPES = {
    '6x256': dict(n_layer=6, n_embd=256, n_head=8),
    '124m': dict(n_layer=12, n_embd=768, n_head=12),
    'xl': dict(n_layer=48, n_embd=1600, n_head=25),
}
# benchmark of ours, model, runs a step
COMPARED = {
    'train-embedded': [('embedded', 60)],
    'train-6x256': [('6x256', 60)],
    'train-124m': [('124m', 20)],
    'train-xl': [('xl', 4)],
    'evaluate': [('embedded', 10), ('6x256', 10), ('124m', 10)],
}


def load(model):
    import torch
    from peft import PromptTuningConfig, PromptTuningInit, TaskType, get_peft_model
    from transformers import GPT2Config, GPT2LMHeadModel

    torch.manual_seed(0)
    if model == 'embedded':
        base = GPT2LMHeadModel.from_pretrained(ROOT / 'data' / 'model', dtype=torch.float32)
    else:
        off = dict(resid_pdrop=0, embd_pdrop=0, attn_pdrop=0)
        base = GPT2LMHeadModel(GPT2Config(**SHAPES[model], **off))
    config = PromptTuningConfig(
        task_type=TaskType.CAUSAL_LM, num_virtual_tokens=4, prompt_tuning_init=PromptTuningInit.RANDOM)
    return get_peft_model(base, config)


def padded(batch, with_labels):
    """Left-padded tensors of a batch: ids, attention mask, labels (-100 where nothing is asked for)."""
    import torch

    rows = [example['textTokens'] + (example['labelTokens'] if with_labels else []) for example in batch]
    width = max(map(len, rows))
    ids = torch.tensor([[50256] * (width - len(row)) + row for row in rows])
    mask = torch.tensor([[0] * (width - len(row)) + [1] * len(row) for row in rows])
    labels = torch.tensor([
        [-100] * (width - len(example['labelTokens'])) + example['labelTokens'] for example in batch])
    return ids, mask, labels


def timed(work, seconds):
    """Examples a second of `work(i)`, after two calls to warm up."""
    for i in range(2):
        work(i)
    since, examples, i = time.perf_counter(), 0, 2
    while i == 2 or time.perf_counter() - since < seconds:
        examples += work(i)
        i += 1
    return examples / (time.perf_counter() - since)


def measure_training(model, batches, seconds):
    import torch

    tuned = load(model).train()
    optimizer = torch.optim.AdamW([p for p in tuned.parameters() if p.requires_grad], lr=1e-3)
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1, 0, 100_000)

    def step(i):
        batch = batches[i % len(batches)]
        ids, mask, labels = padded(batch, True)
        tuned(input_ids=ids, attention_mask=mask, labels=labels).loss.backward()
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
        return len(batch)

    return timed(step, seconds)


def measure_evaluation(model, lists, seconds):
    """Loss and greedy answer of five tokens, in batches of eight, as the paper's authors evaluate."""
    import torch

    tuned = load(model).eval()

    def evaluate(i):
        examples = lists[i % len(lists)]
        for start in range(0, len(examples), 8):
            batch = examples[start:start + 8]
            ids, mask, labels = padded(batch, True)
            tuned(input_ids=ids, attention_mask=mask, labels=labels).loss.item()
            ids, mask, _ = padded(batch, False)
            tuned.generate(input_ids=ids, attention_mask=mask, max_new_tokens=5, do_sample=False, pad_token_id=50256)
        return len(examples)

    with torch.no_grad():
        return timed(evaluate, seconds)


def measure(benchmark, model, seconds):
    data = json.load(sys.stdin)
    if benchmark == 'evaluate':
        rate = measure_evaluation(model, data['test'], seconds)
    else:
        rate = measure_training(model, data['train'], seconds)
    print(json.dumps(rate))


def theirs(benchmark, model, seconds, data):
    command = [sys.executable, __file__, '--measure', f'{benchmark}:{model}', '--seconds', str(seconds)]
    out = subprocess.run(command, input=data, stdout=subprocess.PIPE, text=True, check=True).stdout
    return json.loads(out.splitlines()[-1])


def ours(benchmark, model, runs, seconds):
    with tempfile.TemporaryDirectory() as folder:
        file = pathlib.Path(folder) / 'rows.json'
        subprocess.run(
            ['npm', 'run', '--silent', 'bench', '--', '--only', benchmark, '--runs', str(runs), '--model', model,
             '--seconds', str(seconds), '--json', str(file)], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
        return json.loads(file.read_text())[0]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--only', default=','.join(COMPARED))
    parser.add_argument('--rounds', type=int, default=2)
    parser.add_argument('--seconds', type=float, default=20)
    parser.add_argument('--json')
    parser.add_argument('--measure', help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        measure(*options.measure.split(':'), options.seconds)
        return
    names = options.only.split(',')
    unknown = [name for name in names if name not in COMPARED]
    if unknown:
        parser.error(f'--only {unknown[0]}: expected some of {", ".join(COMPARED)}')
    batches = ['node', '--import', 'tsx', 'bench/batches.ts', '96']
    data = subprocess.run(batches, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True).stdout
    print('| benchmark | model | runs a step | PEFT, examples/s | ours, examples/s | ratio | share of the peak | ratio of the products alone | ratio at the peak |')
    print('|---|---|---|---|---|---|---|---|---|')
    rows = []
    for name in names:
        for model, runs in COMPARED[name]:
            pairs = [(theirs(name, model, options.seconds, data), ours(name, model, runs, options.seconds))
                     for _ in range(options.rounds)]
            peft = [a for a, _ in pairs]
            own = [b['examplesPerSecond'] for _, b in pairs]
            ratio = sum(own) / sum(peft)
            share = sum(b['gflops'] / b['peakGflops'] for _, b in pairs) / len(pairs)
            alone = sum(b['productGflops'] / b['peakGflops'] for _, b in pairs) / len(pairs)
            limits = (f'{100 * share:.0f} %', f'{ratio * alone / share:.1f}', f'{ratio / share:.1f}') if share > 0 else ('', '', '')
            shown = [', '.join(f'{value:.3g}' for value in values) for values in (peft, own)]
            print(f'| {name} | {model} | {runs} | {shown[0]} | {shown[1]} | {ratio:.1f} | {" | ".join(limits)} |', flush=True)
            rows.append({'benchmark': name, 'model': model, 'runsPerStep': runs, 'peft': peft, 'ours': own, 'ratio': ratio, 'share': share, 'productShare': alone})
    if options.json:
        pathlib.Path(options.json).write_text(json.dumps(rows, indent=1))


if __name__ == '__main__':
    main()
