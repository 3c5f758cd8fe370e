"""Trains the embedded model (README.md). Stopped anywhere, the same command goes on."""

import argparse
import json
import math
import os
import time
from pathlib import Path

import torch
import torch.nn.functional as F
from transformers import GPT2Config, GPT2LMHeadModel

from corpus import BUILD, IGNORED, Corpus, read_vocabulary, targets_of
from embedding import BAND_LIMITS, band_offsets, frequency_bands, initial_embeddings, with_offsets
from muon import Muon

WIDTH = 128
VOCABULARY = 50257
NATURAL_ROWS, SYNTHETIC_ROWS = 3, 5  # of each batch
ADAM_RATE, MUON_RATE = 1.5e-3, 0.02
WARM_UP, COOL_DOWN = 100, 400  # steps
BAND_STEPS = 4000  # the frequency bands are by occurrences in so many steps, however long the training is
FINAL_NORM_GAIN = 2.5  # larger last activations need smaller offsets to keep rare tokens unlikely
FREQUENT, RANDOM, CANDIDATES = 600, 300, 1792  # output rows compared in each step


def build_model(vocabulary, seed):
    torch.manual_seed(seed)
    config = GPT2Config(
        n_embd=WIDTH, n_layer=4, n_head=4, n_positions=256, activation_function="gelu_new",
        resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0, summary_first_dropout=0.0,
    )
    model = GPT2LMHeadModel(config)
    model.transformer.wte.weight.data.copy_(initial_embeddings(vocabulary, WIDTH, seed))
    model.transformer.ln_f.weight.data.fill_(FINAL_NORM_GAIN)
    return model


def block_matrices(model):
    """The same matrix of every layer, together."""
    names = [("attn", "c_attn"), ("attn", "c_proj"), ("mlp", "c_fc"), ("mlp", "c_proj")]
    blocks = model.transformer.h
    return [[getattr(getattr(block, part), name).weight for block in blocks] for part, name in names]


class Sampler:
    """Sampled softmax: frequent tokens, the batch's own and some random ones stand for the vocabulary."""

    def __init__(self, counts, bands, tokens_per_step, seed):
        frequency = counts / counts.sum()
        self.bands, self.seed = bands, seed
        self.frequent = torch.topk(frequency, FREQUENT).indices
        inclusion = 1 - (1 - RANDOM / VOCABULARY) * torch.exp(-tokens_per_step * frequency)
        inclusion[self.frequent] = 1
        self.log_inclusion = inclusion.log()
        self.place = torch.full((VOCABULARY,), IGNORED)

    def draw(self, ids, step):
        """(candidate tokens, log inclusion probabilities, whether only the offset learns, place of each id)"""
        own = torch.cat([self.frequent, ids.reshape(-1)]).unique()
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + step)
        drawn = torch.randint(VOCABULARY, (RANDOM,), generator=generator).unique()
        drawn = drawn[~torch.isin(drawn, own)][: max(0, CANDIDATES - len(own))]
        padding = max(0, CANDIDATES - len(own) - len(drawn))  # one shape, so that one compiled step does
        tokens = torch.cat([own, drawn])
        correction = F.pad(self.log_inclusion[tokens], (0, padding), value=1e4)
        is_shared = F.pad(self.bands[tokens] < len(BAND_LIMITS), (0, padding), value=True)
        is_shared[: len(own)] = False
        self.place[own] = torch.arange(len(own))
        return tokens, correction, is_shared, self.place[ids]


class RowAdam:
    """Adam for the token embeddings. Only the rows of a step move: a rare token rests until it is met again."""

    def __init__(self, embeddings, betas=(0.9, 0.98), epsilon=1e-8):
        self.embeddings, self.betas, self.epsilon = embeddings, betas, epsilon
        self.mean, self.square = torch.zeros_like(embeddings), torch.zeros_like(embeddings)

    def step(self, tokens, gradient, learning_rate, step):
        first, second = self.betas
        mean = self.mean[tokens].lerp_(gradient, 1 - first)
        square = self.square[tokens].lerp_(gradient * gradient, 1 - second)
        self.mean[tokens], self.square[tokens] = mean, square
        size = learning_rate * math.sqrt(1 - second ** (step + 1)) / (1 - first ** (step + 1))
        self.embeddings[tokens] -= size * mean / (square.sqrt() + self.epsilon)


def step_loss(model, rows, offsets, bands, places, correction, is_shared, targets, weights, use_bfloat16):
    """(training loss, loss of the answer tokens alone); `places` says which of the `rows` each token is."""
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=use_bfloat16):
        shift = F.one_hot(bands, len(BAND_LIMITS) + 1).to(rows.dtype) @ band_offsets(offsets)
        inputs = F.embedding(places, rows + shift)
        hidden = model.transformer(inputs_embeds=inputs, use_cache=False).last_hidden_state[:, :-1]
        outputs = torch.where(is_shared[:, None], rows.detach(), rows) + shift
        logits = hidden.reshape(-1, WIDTH) @ outputs.T
    losses = F.cross_entropy(logits.float() - correction, targets, ignore_index=IGNORED, reduction="none")
    is_answer = (weights > 1).float()
    answers = (losses * is_answer).sum().detach() / is_answer.sum().clamp(min=1)
    return (losses * weights).sum() / weights.sum(), answers


def rate_at(step, steps, cool_down_at):
    """Share of the full learning rate: a short warm-up, then a half cosine down to a twentieth; if ended early, a
    straight line from `cool_down_at` on, down to a twentieth of the rate there.
    """
    place = min(step, cool_down_at)
    share = min(1, (place + 1) / WARM_UP) * (0.05 + 0.95 * 0.5 * (1 + math.cos(math.pi * place / steps)))
    return share * (1 - 0.95 * (step - place) / COOL_DOWN)


@torch.no_grad()
def validation_loss(model, corpus, name, rows_at_once=4):
    """Mean loss over the whole vocabulary, in float32."""
    total, count = 0.0, 0
    rows = corpus.rows[name][corpus.validation[name]].astype("int64")
    for start in range(0, len(rows), rows_at_once):
        ids = rows[start : start + rows_at_once]
        targets = torch.tensor(targets_of(ids)).reshape(-1)
        logits = model(torch.tensor(ids)).logits[:, :-1].reshape(-1, VOCABULARY)
        total += F.cross_entropy(logits, targets, ignore_index=IGNORED, reduction="sum").item()
        count += (targets != IGNORED).sum().item()
    return total / count


def export_model(model, offsets, bands, folder):
    """The model as everybody else reads it: offsets added in, float16."""
    copy = GPT2LMHeadModel(model.config)
    copy.load_state_dict(model.state_dict())
    copy.transformer.wte.weight.data = with_offsets(copy.transformer.wte.weight.data, offsets.data, bands)
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


def train(arguments):
    torch.set_num_threads(arguments.threads)
    folder = BUILD / arguments.name
    folder.mkdir(parents=True, exist_ok=True)
    checkpoint = folder / "checkpoint.pt"
    corpus = Corpus(NATURAL_ROWS, SYNTHETIC_ROWS, arguments.seed)
    counts = torch.tensor(corpus.expected_counts(BAND_STEPS), dtype=torch.float32)
    bands = frequency_bands(counts)
    print("tokens in each frequency band, never met first:", torch.bincount(bands).tolist(), flush=True)
    model = build_model(read_vocabulary(), arguments.seed)
    offsets = torch.nn.Parameter(torch.zeros(len(BAND_LIMITS), WIDTH))
    muon = Muon(block_matrices(model))
    embeddings = model.transformer.wte.weight.requires_grad_(False)
    row_adam = RowAdam(embeddings)
    elsewhere = {id(weight) for group in muon.groups for weight in group} | {id(embeddings)}
    others = [weight for weight in model.parameters() if id(weight) not in elsewhere] + [offsets]
    adam = torch.optim.AdamW(others, lr=ADAM_RATE, betas=(0.9, 0.98), weight_decay=0)
    history, first_step = [], 0
    if checkpoint.exists():
        state = torch.load(checkpoint)
        is_other = state["steps"] != arguments.steps and not arguments.new_length
        if is_other or state["seed"] != arguments.seed:
            raise SystemExit(f"{checkpoint} is of a run with {state['steps']} steps and seed {state['seed']}")
        model.load_state_dict(state["model"])
        offsets.data.copy_(state["offsets"])
        adam.load_state_dict(state["adam"])
        row_adam.mean, row_adam.square = state["row_adam"]
        muon.momentum = state["muon"]
        history, first_step = state["history"], state["step"]
        print(f"going on at step {first_step}", flush=True)

    sampler = Sampler(counts, bands, (NATURAL_ROWS + SYNTHETIC_ROWS) * 255, arguments.seed)
    loss_of = torch.compile(step_loss) if arguments.compile else step_loss
    started, sums = time.time(), [0.0, 0.0]
    last_step = min(arguments.steps, arguments.cool_down_at + COOL_DOWN)
    for step in range(first_step, last_step):
        ids, marks = corpus.batch(step)
        targets = torch.tensor(targets_of(ids)).reshape(-1)
        weights = torch.tensor(1 + (arguments.answer_weight - 1) * marks[:, 1:], dtype=torch.float32).reshape(-1)
        weights = weights * (targets != IGNORED)
        tokens, correction, is_shared, places = sampler.draw(torch.tensor(ids), step)
        padding = len(correction) - len(tokens)
        rows = F.pad(embeddings[tokens], (0, 0, 0, padding)).requires_grad_(True)
        row_bands = F.pad(bands[tokens], (0, padding), value=len(BAND_LIMITS))
        target_places = torch.where(targets == IGNORED, targets, places[:, 1:].reshape(-1))
        loss, answer_loss = loss_of(
            model, rows, offsets, row_bands, places, correction, is_shared, target_places, weights,
            arguments.bfloat16,
        )
        loss.backward()
        trained = [weight for weight in model.parameters() if weight.requires_grad]
        torch.nn.utils.clip_grad_norm_([*trained, offsets, rows], 1.0)
        share = rate_at(step, arguments.steps, arguments.cool_down_at)
        for group in adam.param_groups:
            group["lr"] = ADAM_RATE * share
        muon.step(MUON_RATE * share)
        adam.step()
        adam.zero_grad()
        learns = (~is_shared[: len(tokens)]).nonzero()[:, 0]
        row_adam.step(tokens[learns], rows.grad[learns], ADAM_RATE * share, step)
        sums = [sums[0] + loss.item(), sums[1] + answer_loss.item()]
        done = step + 1
        if done % arguments.every == 0:
            history.append([done, sums[0] / arguments.every, sums[1] / arguments.every])
            speed = (done - first_step) / (time.time() - started)
            left = (last_step - done) / speed / 60
            print(
                f"step {done}/{last_step} loss {history[-1][1]:.3f} answers {history[-1][2]:.3f} "
                f"{speed * ids.size:.0f} tokens/s, {left:.1f} min left", flush=True,
            )
            sums = [0.0, 0.0]
        if done % arguments.checkpoint_every == 0 or done == last_step:
            state = {"steps": arguments.steps, "seed": arguments.seed, "step": done, "history": history}
            state.update(model=model.state_dict(), offsets=offsets.data, adam=adam.state_dict())
            state.update(muon=muon.momentum, row_adam=(row_adam.mean, row_adam.square))
            save_whole(state, checkpoint)
            export_model(model, offsets, bands, folder / "model")
            if done >= arguments.stop_after:
                return

    final = export_model(model, offsets, bands, folder / "model")
    report = {"steps": last_step, "seed": arguments.seed, "tokens": last_step * 8 * 256, "curve": history}
    for name in corpus.rows:
        report[f"validation loss, {name}"] = validation_loss(final, corpus, name)
    report["never met"] = int((bands == 0).sum())
    (folder / "training.json").write_text(json.dumps(report, indent=1) + "\n")
    print({key: value for key, value in report.items() if key != "curve"}, flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--name", default="run", help="folder below build/")
    parser.add_argument("--steps", type=int, default=6000, help="batches of 8 rows of 256 tokens")
    parser.add_argument("--answer-weight", type=float, default=2, help="how much an answer token counts")
    parser.add_argument("--cool-down-at", type=int, default=10**9, help="end early, 400 steps after this one")
    parser.add_argument("--new-length", action="store_true", help="go on with other --steps than begun with")
    parser.add_argument("--stop-after", type=int, default=10**9, help="stop after this step; go on later")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--every", type=int, default=100, help="steps between progress lines")
    parser.add_argument("--checkpoint-every", type=int, default=500)
    parser.add_argument("--no-compile", dest="compile", action="store_false")
    parser.add_argument("--bfloat16", action="store_true", help="where the processor is fast at it")
    train(parser.parse_args())
