"""Checks a model by prompt tuning as the paper does it: python evaluate.py --model ../../data/model

Four prompt vectors, each started at an init word; AdamW (weight decay 0.01), learning rate falling linearly to
zero, batches of 8, 50 epochs; accuracy: five tokens decoded greedily start with the answer. All init words of a
task are tuned in the same steps: their losses have nothing to do with each other.
"""

import argparse
import json
import math
from pathlib import Path

import numpy
import torch
import torch.nn.functional as F
from transformers import GPT2LMHeadModel

from corpus import read_vocabulary

BUILD = Path(__file__).parent / "build"
PROMPT_TOKENS, BATCH, NEW_TOKENS = 4, 8, 5
IGNORED = -100


def split(examples):
    """The project's split: (training, test)."""
    order = numpy.random.default_rng(42).permutation(len(examples))
    tests = math.ceil(0.2 * len(examples))
    return [examples[i] for i in order[tests:]], [examples[i] for i in order[:tests]]


def pad(examples):
    """Token ids and labels, padded on the right: [example, position]."""
    length = max(len(example["text"]) + len(example["label"]) for example in examples)
    ids = torch.zeros(len(examples), length, dtype=torch.long)
    labels = torch.full((len(examples), length), IGNORED)
    for row, example in enumerate(examples):
        text, label = example["text"], example["label"]
        ids[row, : len(text) + len(label)] = torch.tensor(text + label)
        labels[row, len(text) : len(text) + len(label)] = torch.tensor(label)
    return ids, labels


def label_loss(model, prompts, examples):
    """Sum over prompts [word, 4, width] of the mean loss of the label tokens, and each prompt's own mean."""
    ids, labels = pad(examples)
    words, count = len(prompts), len(examples)
    rows = model.transformer.wte(ids)
    inputs = torch.cat([prompts[:, None].expand(-1, count, -1, -1), rows.expand(words, -1, -1, -1)], dim=2)
    hidden = model.transformer(inputs_embeds=inputs.flatten(0, 1), use_cache=False).last_hidden_state
    hidden = hidden[:, PROMPT_TOKENS - 1 : -1].unflatten(0, (words, count))[:, labels != IGNORED]
    targets = labels[labels != IGNORED].repeat(words)
    losses = F.cross_entropy(model.lm_head(hidden).flatten(0, 1), targets, reduction="none").view(words, -1)
    return losses.mean(1).sum(), losses.mean(1)


@torch.no_grad()
def accuracy(model, prompts, examples, vocabulary):
    """[word] share of examples whose greedy continuation starts with the answer."""
    right = torch.zeros(len(prompts))
    by_length = {}
    for example in examples:  # equal lengths together, so that nothing is padded
        by_length.setdefault(len(example["text"]), []).append(example)
    for group in by_length.values():
        ids = torch.tensor([example["text"] for example in group])
        rows = model.transformer.wte(ids).expand(len(prompts), -1, -1, -1)
        inputs = torch.cat([prompts[:, None].expand(-1, len(group), -1, -1), rows], dim=2).flatten(0, 1)
        made = []
        for _ in range(NEW_TOKENS):
            hidden = model.transformer(inputs_embeds=inputs, use_cache=False).last_hidden_state[:, -1]
            made.append(model.lm_head(hidden).argmax(-1))
            inputs = torch.cat([inputs, model.transformer.wte(made[-1])[:, None]], dim=1)
        made = torch.stack(made, dim=1).view(len(prompts), len(group), NEW_TOKENS).tolist()
        for word, continuations in enumerate(made):
            for example, tokens in zip(group, continuations):
                text = "".join(vocabulary[token] for token in tokens).strip()
                right[word] += text.startswith(example["output"])
    return right / len(examples)


def tune(model, initial, training, rate, epochs, most_steps):
    """Prompts [word, 4, width] after training."""
    prompts = initial.clone().requires_grad_(True)
    steps = min(most_steps, epochs * math.ceil(len(training) / BATCH))
    optimizer = torch.optim.AdamW([prompts], lr=rate, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: max(0, 1 - step / steps))
    random = numpy.random.default_rng(0)
    done = 0
    while done < steps:
        order = random.permutation(len(training))
        for start in range(0, len(order), BATCH):
            if done == steps:
                break
            loss, _ = label_loss(model, prompts, [training[i] for i in order[start : start + BATCH]])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            done += 1
    return prompts.detach(), steps


def evaluate(arguments):
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    model = GPT2LMHeadModel.from_pretrained(arguments.model, dtype=torch.float32).eval()
    for weight in model.parameters():
        weight.requires_grad_(False)
    data = json.loads((BUILD / "tasks.json").read_text())
    vocabulary = read_vocabulary()
    words = arguments.words.split(",")
    ids = torch.tensor([data["words"][word][0] for word in words])
    initial = model.transformer.wte(ids)[:, None].repeat(1, PROMPT_TOKENS, 1)
    results = []
    for task in arguments.tasks.split(",") if arguments.tasks else data["tasks"]:
        training, test = split(data["tasks"][task])
        before = accuracy(model, initial, test, vocabulary)
        for rate in map(float, arguments.rates.split(",")):
            prompts, steps = tune(model, initial, training, rate, arguments.epochs, arguments.most_steps)
            after = accuracy(model, prompts, test, vocabulary)
            with torch.no_grad():
                losses = label_loss(model, prompts, test)[1]
            moved = 1 - F.cosine_similarity(prompts, initial, dim=-1).mean(1)
            for i, word in enumerate(words):
                result = {"task": task, "test": len(test), "word": word, "rate": rate, "steps": steps}
                result.update(untuned=before[i].item(), tuned=after[i].item())
                result.update(loss=losses[i].item(), moved=moved[i].item())
                results.append(result)
                print(
                    f"{task} ({len(test)}) {word} rate {rate} steps {steps}: untuned {before[i]:.3f} "
                    f"tuned {after[i]:.3f} loss {losses[i]:.3f} distance from init word {moved[i]:.3f}",
                    flush=True,
                )
    if arguments.out:
        Path(arguments.out).write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", required=True)
    parser.add_argument("--tasks", default="", help="names, parted by commas; all six if left out")
    parser.add_argument("--words", default="cat,book,water")
    parser.add_argument("--rates", default="1e-3")
    parser.add_argument("--epochs", type=int, default=50)
    parser.add_argument("--most-steps", type=int, default=10**9)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", default="", help="JSON file for the results")
    evaluate(parser.parse_args())
