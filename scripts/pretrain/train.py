"""Trains the embedded model (README.md). Stopped anywhere, the same command goes on."""

import argparse
import hashlib
import json
import math
import os
import signal
import time
from pathlib import Path

import torch
import torch.nn.functional as F
from transformers import GPT2Config, GPT2LMHeadModel

from corpus import BUILD, IGNORED, Corpus, read_tokens, targets_of
from embedding import FREQUENCY_BIAS, initial_embeddings
from muon import Muon
from rows import SharedRows, words_of
from sampler import Sampler

WIDTH = 128
HEADS = 2  # a head carries 128 / HEADS numbers: with 4, the two or three that looked at a word could not tell which
VOCABULARY = 50257
NATURAL_ROWS, SYNTHETIC_ROWS = 3, 5  # of each batch
ADAM_RATE, MUON_RATE = 2e-3, 0.025
WARM_UP = 100  # steps
ANSWER_WEIGHT = 5  # how much an answer token counts
FINAL_NORM_GAIN = 1.2  # larger ones only repeat the last token more loudly at first


def build_model(tokens, counts, arguments):
    """On the processor, whatever trains it: so it starts the same everywhere."""
    with torch.device("cpu"):
        if arguments.start is None:
            model = first_model(tokens, counts.cpu(), arguments.seed)
        else:
            model = GPT2LMHeadModel.from_pretrained(arguments.start, dtype=torch.float32)
        return with_fixed_frequency(model).to(counts.device)


def first_model(tokens, counts, seed):
    torch.manual_seed(seed)
    config = GPT2Config(
        n_embd=WIDTH, n_layer=4, n_head=HEADS, n_positions=256, activation_function="gelu_new",
        resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0, summary_first_dropout=0.0,
    )
    model = GPT2LMHeadModel(config)
    model.transformer.wte.weight.data.copy_(initial_embeddings(tokens, counts, WIDTH, seed))
    norm = model.transformer.ln_f
    norm.weight.data.fill_(FINAL_NORM_GAIN)
    norm.weight.data[-1] = 0
    norm.bias.data[-1] = FREQUENCY_BIAS
    return model


def with_fixed_frequency(model):
    """The final norm stays constant in the coordinate of frequency (embedding.py)."""
    norm = model.transformer.ln_f
    norm.bias.requires_grad_(False)  # else rows lean on it to be frequent, and all point its way
    norm.weight.register_hook(lambda gradient: F.pad(gradient[:-1], (0, 1)))
    return model.train()


def block_matrices(model):
    """The same matrix of every layer, together."""
    names = [("attn", "c_attn"), ("attn", "c_proj"), ("mlp", "c_fc"), ("mlp", "c_proj")]
    blocks = model.transformer.h
    return [[getattr(getattr(block, part), name).weight for block in blocks] for part, name in names]


def step_loss(model, rows, learns, places, log_inclusion, targets, weights, is_answer):
    """(training loss, loss of the answer tokens alone); `places` says which of the `rows` each token is."""
    hidden = model.transformer(inputs_embeds=F.embedding(places, rows), use_cache=False).last_hidden_state
    outputs = torch.where(learns[:, None], rows, rows.detach())
    logits = hidden[:, :-1].reshape(-1, WIDTH) @ outputs.T
    losses = F.cross_entropy(logits - log_inclusion, targets, ignore_index=IGNORED, reduction="none")
    answers = (losses * is_answer).sum().detach() / is_answer.sum().clamp(min=1)
    return (losses * weights).sum() / weights.sum(), answers


def rate_at(step, steps):
    """Share of the full learning rate: a short warm-up, then half a cosine down to a fiftieth."""
    return min(1, (step + 1) / WARM_UP) * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * step / steps)))


@torch.no_grad()
def validation_loss(model, corpus, name, rows_at_once=4):
    """Mean loss over the whole vocabulary."""
    total, count = 0.0, 0
    rows = corpus.rows[name][corpus.validation[name]].astype("int64")
    for start in range(0, len(rows), rows_at_once):
        ids = rows[start : start + rows_at_once]
        targets = torch.tensor(targets_of(ids)).reshape(-1)
        logits = model(torch.tensor(ids)).logits[:, :-1].reshape(-1, VOCABULARY)
        total += F.cross_entropy(logits, targets, ignore_index=IGNORED, reduction="sum").item()
        count += (targets != IGNORED).sum().item()
    return total / count


def export_model(model, folder):
    """The model as everybody else reads it: float16."""
    copy = GPT2LMHeadModel(model.config)
    copy.load_state_dict(model.state_dict())
    copy.half().save_pretrained(folder)
    return copy.float()


def save_whole(state, path):
    """A checkpoint is there as a whole or not at all."""
    temporary = path.with_suffix(".tmp")
    with open(temporary, "wb") as file:
        torch.save(state, file)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)


class Training:
    """Everything that a step changes, and how to write it down and take it up again."""

    def __init__(self, arguments, corpus):
        self.arguments, self.corpus = arguments, corpus
        counts = torch.tensor(corpus.expected_counts(arguments.steps), dtype=torch.float32)
        tokens = read_tokens()
        self.model = build_model(tokens, counts, arguments)
        self.sampler = Sampler(counts, (NATURAL_ROWS + SYNTHETIC_ROWS) * 255, arguments.seed)
        self.muon = Muon(block_matrices(self.model))
        embeddings = self.model.transformer.wte.weight.requires_grad_(False)
        self.rows = SharedRows(embeddings, words_of(tokens, counts))
        elsewhere = {id(weight) for group in self.muon.groups for weight in group}
        trained = [weight for weight in self.model.parameters() if weight.requires_grad]
        self.trained = trained
        others = [weight for weight in trained if id(weight) not in elsewhere]
        self.adam = torch.optim.AdamW(others, lr=ADAM_RATE, betas=(0.9, 0.98), weight_decay=0)
        self.loss_of = torch.compile(step_loss) if arguments.compile else step_loss
        self.done, self.history, self.sums = 0, [], [0.0, 0.0]

    def settings(self):
        arguments = self.arguments
        started = arguments.start and hashlib.sha256((arguments.start / "model.safetensors").read_bytes()).hexdigest()
        return {
            "from": started, "rate": arguments.rate, "steps": arguments.steps, "seed": arguments.seed,
            "corpus": self.corpus.digest(),
        }

    def state(self):
        return {
            **self.settings(), "done": self.done, "history": self.history, "sums": self.sums,
            "model": self.model.state_dict(), "adam": self.adam.state_dict(), "muon": self.muon.momentum,
            "rows": (self.rows.own.state(), self.rows.shared.state()),
        }

    def take_up(self, path):
        state = torch.load(path, map_location=self.rows.words.device)
        found = {name: state[name] for name in self.settings()}
        if found != self.settings():
            raise SystemExit(f"{path}: begun with {found}, asked for {self.settings()}")
        self.model.load_state_dict(state["model"])
        self.adam.load_state_dict(state["adam"])
        self.muon.momentum = state["muon"]
        self.rows.own.take_up(state["rows"][0])
        self.rows.shared.take_up(state["rows"][1])
        self.done, self.history, self.sums = state["done"], state["history"], state["sums"]

    def finished_model(self):
        """The model with plain rows."""
        embeddings = self.model.transformer.wte.weight
        embeddings.copy_(self.rows.of(torch.arange(len(embeddings))))
        return self.model

    def step(self):
        ids, marks = self.corpus.batch(self.done)
        targets = torch.tensor(targets_of(ids)).reshape(-1)
        is_met = (targets != IGNORED).float()
        is_answer = torch.tensor(marks[:, 1:], dtype=torch.float32).reshape(-1) * is_met
        weights = is_met + (ANSWER_WEIGHT - 1) * is_answer
        tokens, own, log_inclusion, places = self.sampler.draw(torch.tensor(ids), self.done)
        rows = F.pad(self.rows.of(tokens), (0, 0, 0, len(log_inclusion) - len(tokens))).requires_grad_(True)
        learns = torch.arange(len(log_inclusion)) < own
        target_places = torch.where(targets == IGNORED, targets, places[:, 1:].reshape(-1))
        loss, answers = self.loss_of(
            self.model, rows, learns, places, log_inclusion, target_places, weights, is_answer)
        loss.backward()
        torch.nn.utils.clip_grad_norm_([*self.trained, rows], 1.0)
        share = self.arguments.rate * rate_at(self.done, self.arguments.steps)
        for group in self.adam.param_groups:
            group["lr"] = ADAM_RATE * share
        self.muon.step(MUON_RATE * share)
        self.adam.step()
        self.adam.zero_grad()
        self.rows.step(tokens[:own], rows.grad[:own], ADAM_RATE * share, self.done)
        self.done += 1
        self.sums = [self.sums[0] + loss.item(), self.sums[1] + answers.item()]
        return ids.size


def train(arguments):
    if arguments.start and not (arguments.start / "training.json").exists():
        raise SystemExit(f"{arguments.start}: has no training.json, so it is no finished model of this script")
    torch.set_num_threads(arguments.threads)
    torch.set_default_device(arguments.device)  # of every tensor made from here on
    folder = BUILD / arguments.name
    folder.mkdir(parents=True, exist_ok=True)
    checkpoint = folder / "checkpoint.pt"
    corpus = Corpus(NATURAL_ROWS, SYNTHETIC_ROWS, arguments.seed)
    training = Training(arguments, corpus)
    if checkpoint.exists():
        training.take_up(checkpoint)
        print(f"going on at step {training.done}", flush=True)
    last, first, started = min(arguments.steps, arguments.stop_after), training.done, time.time()
    asked_to_stop = catch_signals()
    while training.done < last:
        if asked_to_stop:
            save(training, folder)
            break
        size = training.step()
        if training.done % arguments.every == 0:
            training.history.append([training.done, *(total / arguments.every for total in training.sums)])
            training.sums = [0.0, 0.0]
            report_progress(training.history[-1], arguments.steps, (training.done - first, started, size))
        if training.done % arguments.checkpoint_every == 0 or training.done == last:
            save(training, folder)
    if training.done == arguments.steps:
        write_report(training, folder / "model")


def catch_signals():
    """A list that is no longer empty once somebody wants the training to stop."""
    asked = []
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda received, frame: asked.append(received))
    return asked


def save(training, folder):
    save_whole(training.state(), folder / "checkpoint.pt")
    export_model(training.finished_model(), folder / "model")


def report_progress(entry, steps, pace):
    done, loss, answers = entry
    since, started, size = pace
    speed = since / (time.time() - started)
    left = (steps - done) / speed / 60
    print(f"step {done}/{steps} loss {loss:.3f} answers {answers:.3f} {speed * size:.0f} tokens/s, "
          f"{left:.1f} min left", flush=True)


def write_report(training, folder):
    arguments, corpus = training.arguments, training.corpus
    final = export_model(training.finished_model(), folder)
    report = {**training.settings(), "tokens": arguments.steps * 8 * 256, "curve": training.history}
    if arguments.start:
        report = continued(json.loads((arguments.start / "training.json").read_text()), report)
    for name in corpus.rows:
        report[f"validation loss, {name}"] = validation_loss(final, corpus, name)
    report["never met"] = int((torch.tensor(corpus.expected_counts(arguments.steps)) == 0).sum())
    (folder / "training.json").write_text(json.dumps(report, indent=1) + "\n")
    print({key: value for key, value in report.items() if key != "curve"}, flush=True)


def continued(before, report):
    """The report of two rounds: steps, tokens and curve are of both, the other settings of the later one."""
    curve = before["curve"] + [[before["steps"] + step, *losses] for step, *losses in report["curve"]]
    sums = {name: before[name] + report[name] for name in ("steps", "tokens")}
    return {**report, **sums, "curve": curve, "first round": {name: before[name] for name in ("steps", "seed", "corpus")}}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--name", default="run", help="folder below build/")
    parser.add_argument("--steps", type=int, required=True, help="batches of 8 rows of 256 tokens")
    parser.add_argument("--from", dest="start", type=Path, help="folder of the model to go on from, in a further round")
    parser.add_argument("--rate", type=float, default=1, help="share of the full learning rates")
    parser.add_argument("--stop-after", type=int, default=10**9, help="stop after this step; go on later")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--every", type=int, default=50, help="steps between progress lines")
    parser.add_argument("--checkpoint-every", type=int, default=250)
    parser.add_argument("--no-compile", dest="compile", action="store_false")
    train(parser.parse_args())
