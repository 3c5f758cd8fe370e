"""Makes fixtures/gpt2-*/ and adapter/: what Hugging Face transformers and PEFT compute for tiny random GPT-2 models.

Run from anywhere: python tests/reference/gpt2.py   (versions: requirements.txt; format: README.md; about a minute)
"""
import json
import shutil
from pathlib import Path

import numpy
import peft
import safetensors
import torch
import transformers
from peft import PeftModel, PromptTuningConfig, get_peft_model
from safetensors.torch import save_file
from transformers import GPT2Config, GPT2LMHeadModel

HERE = Path(__file__).resolve().parent
FIXTURES = HERE / "fixtures"
PROMPT_TOKENS = 4
LEARNING_RATE = 1e-2
STEPS = 50
KEPT_STEPS = (1, 20, 50)
NEW_TOKENS = 5
GREEDY_GAP = 1e-3  # a continuation whose two best logits lie nearer is not kept: rounding would decide it

MODELS = {
    # name: layers, heads, head size, vocabulary, layer-norm epsilon, dtype, "transformer." before names, shards
    "one-head": (1, 1, 8, 97, 1e-5, torch.float32, True, 1),
    "odd-heads": (2, 3, 16, 131, 1e-3, torch.float32, False, 1),
    "deep-half": (6, 2, 8, 300, 1e-5, torch.float16, True, 1),
    "wide-bfloat": (2, 1, 64, 150, 1e-5, torch.bfloat16, False, 1),
    "many-heads": (1, 25, 4, 120, 1e-5, torch.float16, True, 3),
}


def versions():
    return {module.__name__: module.__version__ for module in (torch, transformers, peft, safetensors, numpy)}


def rounded(value):
    return float(f"{float(value):.9g}")


def random_weights(config):
    """GPT-2's weights without "transformer.", all random, so that no term is zero or one by chance."""
    model = transformers.GPT2Model(config)
    weights = {}
    for name, weight in model.state_dict().items():
        if name.endswith(".attn.bias") or name.endswith(".attn.masked_bias"):
            continue
        noise = torch.randn(weight.shape)
        is_scale = "ln_" in name and name.endswith(".weight")
        weights[name] = 1 + 0.2 * noise if is_scale else 0.2 * noise
    return weights


def save_checkpoint(folder, config, weights, dtype, prefixed, shards):
    config.to_json_file(folder / "config.json", use_diff=False)
    stored = {("transformer." if prefixed else "") + name: weight.to(dtype).contiguous()
              for name, weight in weights.items()}
    if not prefixed:  # as in the checkpoint "gpt2" itself, the causal masks are stored too; loaders pass over them
        size = config.n_positions
        mask = torch.tril(torch.ones(size, size)).reshape(1, 1, size, size).to(dtype)
        stored.update({f"h.{layer}.attn.bias": mask.clone() for layer in range(config.n_layer)})
    if shards == 1:
        save_file(stored, folder / "model.safetensors", metadata={"format": "pt"})
        return
    names = sorted(stored)
    weight_map = {}
    for shard in range(shards):
        file = f"model-{shard + 1:05d}-of-{shards:05d}.safetensors"
        part = names[shard::shards]
        save_file({name: stored[name] for name in part}, folder / file, metadata={"format": "pt"})
        weight_map.update({name: file for name in part})
    total = sum(weight.numel() * weight.element_size() for weight in stored.values())
    index = {"metadata": {"total_size": total}, "weight_map": weight_map}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index, indent=2, sort_keys=True) + "\n")


def load(folder, dtype=torch.float32):
    model, info = GPT2LMHeadModel.from_pretrained(
        folder, dtype=dtype, attn_implementation="eager", output_loading_info=True)
    # transformers 5 says nothing of the stored masks ("unexpected" by design) and ties lm_head itself
    assert not info["missing_keys"] - {"lm_head.weight"}, info
    return model.eval()


def with_prompt(folder, prompt, dtype=torch.float32):
    """The model under PEFT prompt tuning with this prompt; evaluation mode, so no dropout."""
    config = PromptTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=PROMPT_TOKENS)
    model = get_peft_model(load(folder, dtype), config).eval()
    embedding = model.prompt_encoder["default"].embedding
    embedding.to(dtype)
    with torch.no_grad():
        embedding.weight.copy_(prompt.to(dtype))
    trained = [name for name, weight in model.named_parameters() if weight.requires_grad]
    assert trained == ["prompt_encoder.default.embedding.weight"], trained
    return model, embedding.weight


def example_loss(model, example):
    """Sum over the label tokens of one example, and their number; PEFT puts the prompt before the text."""
    text, label = example["textTokens"], example["labelTokens"]
    ids = torch.tensor([text + label])
    labels = torch.tensor([[-100] * len(text) + label])
    return model(input_ids=ids, labels=labels).loss * len(label), len(label)


def batch_loss(model, examples):
    """Mean over all label tokens of the batch, one example at a time, so without any padding."""
    sums = [example_loss(model, example) for example in examples]
    return sum(loss for loss, _ in sums) / sum(count for _, count in sums)


def check_peft_forward(model, weight, ids):
    """PEFT's forward is the base model's on [prompt vectors, token embeddings], and nothing else."""
    base = model.get_base_model()
    tokens = torch.tensor([ids])
    joined = torch.cat([weight.unsqueeze(0), base.get_input_embeddings()(tokens)], dim=1)
    with torch.no_grad():
        assert torch.equal(model(input_ids=tokens).logits, base(inputs_embeds=joined).logits)


def greedy(model, weight, text):
    """Greedy continuation by whole forward passes, and the smallest distance of the two best logits on the way."""
    base = model.get_base_model()
    ids, gap = list(text), float("inf")
    with torch.no_grad():
        for _ in range(NEW_TOKENS):
            joined = torch.cat([weight.unsqueeze(0), base.get_input_embeddings()(torch.tensor([ids]))], dim=1)
            best = base(inputs_embeds=joined).logits[0, -1].topk(2)
            gap = min(gap, float(best.values[0] - best.values[1]))
            ids.append(int(best.indices[0]))
    return ids[len(text):], gap


def check_generate(model, text, continuation):
    """PEFT's own generate, as the paper's authors called it, gives the same ids."""
    ids = torch.tensor([text])
    generated = model.generate(input_ids=ids, attention_mask=torch.ones_like(ids), do_sample=False,
                               max_new_tokens=NEW_TOKENS, eos_token_id=None, pad_token_id=0)
    assert generated[0, len(text):].tolist() == continuation, (generated, continuation)


def train(folder, prompt, examples, batches, dtype=torch.float32):
    """AdamW with linear decay to zero, stepped once a batch. Prompts after KEPT_STEPS and the loss of every step."""
    model, weight = with_prompt(folder, prompt, dtype)
    optimizer = torch.optim.AdamW([weight], lr=LEARNING_RATE, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1 - step / STEPS)
    losses, kept = [], {}
    for step, batch in enumerate(batches, start=1):
        optimizer.zero_grad()
        loss = batch_loss(model, [examples[index] for index in batch])
        loss.backward()
        optimizer.step()
        schedule.step()
        losses.append(float(loss.detach()))
        if step in KEPT_STEPS:
            kept[step] = weight.detach().float().clone()
    return losses, kept


def gradient_of(folder, prompt, examples, dtype=torch.float32):
    model, weight = with_prompt(folder, prompt, dtype)
    loss = batch_loss(model, examples)
    loss.backward()
    return float(loss.detach()), weight.grad.clone()


def random_ids(generator, low, high, vocabulary):
    return generator.integers(vocabulary, size=int(generator.integers(low, high + 1))).tolist()


def logits_of(model, ids):
    with torch.no_grad():
        return model(input_ids=torch.tensor([ids])).logits[0]


def deviation(first, second):
    return rounded((first.double() - second.double()).abs().max())


def evaluate(model, weight, generator, vocabulary):
    """20 examples; for two of three the label is what the model says (or its beginning), for the third it is not."""
    examples = []
    while len(examples) < 20:
        text = random_ids(generator, 1, 9, vocabulary)
        said, gap = greedy(model, weight, text)
        if gap < GREEDY_GAP:
            continue
        label = said[:int(generator.integers(1, 4))]
        if len(examples) % 3 == 2:
            label[-1] = (label[-1] + 1) % vocabulary
        examples.append({"textTokens": text, "labelTokens": label, "continuation": said})
    with torch.no_grad():
        batches = [float(batch_loss(model, examples[start:start + 8])) for start in range(0, 20, 8)]
    right = [example["continuation"][:len(example["labelTokens"])] == example["labelTokens"] for example in examples]
    return {"batchSize": 8, "examples": examples, "batchLosses": [rounded(loss) for loss in batches],
            "loss": rounded(sum(batches) / len(batches)), "accuracy": rounded(sum(right) / len(right))}


def make_model(name, number):
    layers, heads, head_size, vocabulary, epsilon, dtype, prefixed, shards = MODELS[name]
    folder = FIXTURES / f"gpt2-{name}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    torch.manual_seed(100 + number)
    generator = numpy.random.default_rng(100 + number)
    config = GPT2Config(vocab_size=vocabulary, n_positions=40, n_embd=heads * head_size, n_layer=layers, n_head=heads,
                        layer_norm_epsilon=epsilon, bos_token_id=vocabulary - 1, eos_token_id=vocabulary - 1,
                        architectures=["GPT2LMHeadModel"])
    save_checkpoint(folder, config, random_weights(config), dtype, prefixed, shards)
    prompt = 0.2 * torch.randn(PROMPT_TOKENS, config.n_embd)
    base, exact = load(folder), load(folder, torch.float64)

    arrays, expected = {"prompts": prompt}, {"versions": versions(), "storedDtype": str(dtype).split(".")[1]}
    inputs = [random_ids(generator, length, length, vocabulary) for length in (1, 2, 7, 12)]
    arrays.update({f"logits.{index}": logits_of(base, ids) for index, ids in enumerate(inputs)})
    expected["logits"] = [{"ids": ids, "tensor": f"logits.{index}"} for index, ids in enumerate(inputs)]
    off = {"logits": max(deviation(logits_of(base, ids), logits_of(exact, ids)) for ids in inputs)}

    model, weight = with_prompt(folder, prompt)
    check_peft_forward(model, weight, inputs[2])
    examples = [{"textTokens": random_ids(generator, 1, 9, vocabulary),
                 "labelTokens": random_ids(generator, 1, 4, vocabulary)} for _ in range(20)]
    batch = [0, 1, 2, 3, 4]
    chosen = [examples[index] for index in batch]
    loss, gradient = gradient_of(folder, prompt, chosen)
    off["gradient"] = deviation(gradient, gradient_of(folder, prompt, chosen, torch.float64)[1])
    arrays["gradient"] = gradient
    expected["examples"] = examples
    expected["batch"] = {"indices": batch, "loss": rounded(loss), "gradient": "gradient"}

    batches = [generator.permutation(20)[:int(generator.integers(3, 9))].tolist() for _ in range(STEPS)]
    losses, kept = train(folder, prompt, examples, batches)
    exact_losses, exact_kept = train(folder, prompt, examples, batches, torch.float64)
    off["prompts"] = {str(step): deviation(kept[step], exact_kept[step]) for step in KEPT_STEPS}
    off["losses"] = rounded(max(abs(a - b) for a, b in zip(losses, exact_losses)))
    arrays.update({f"prompts.{step}": kept[step] for step in KEPT_STEPS})
    expected["training"] = {
        "learningRate": LEARNING_RATE, "beta1": 0.9, "beta2": 0.999, "epsilon": 1e-8, "weightDecay": 0.01,
        "steps": STEPS, "batches": batches, "losses": [rounded(value) for value in losses],
        "prompts": {str(step): f"prompts.{step}" for step in KEPT_STEPS}}

    continuations = []
    while len(continuations) < 40:
        text = random_ids(generator, 1, 12, vocabulary)
        said, gap = greedy(model, weight, text)
        if gap < GREEDY_GAP:
            continue
        check_generate(model, text, said)
        continuations.append({"textTokens": text, "continuation": said})
    expected["greedy"] = continuations
    expected["evaluation"] = evaluate(model, weight, generator, vocabulary)
    expected["float64Deviation"] = off

    save_file({key: value.detach().float().contiguous() for key, value in arrays.items()},
              folder / "expected.safetensors")
    (folder / "expected.json").write_text(json.dumps(expected) + "\n")
    return off, losses, expected["evaluation"]


def make_adapter():
    """A prompt-tuning adapter folder as PEFT saves it, on gpt2-odd-heads, and the logits it gives when loaded again."""
    folder = HERE / "adapter"
    shutil.rmtree(folder, ignore_errors=True)
    torch.manual_seed(7)
    base_folder = FIXTURES / "gpt2-odd-heads"
    model, _ = with_prompt(base_folder, 0.2 * torch.randn(PROMPT_TOKENS, 48))
    model.peft_config["default"].base_model_name_or_path = "gpt2-odd-heads"
    model.save_pretrained(folder)
    (folder / "README.md").unlink(missing_ok=True)  # PEFT's empty model card
    loaded = PeftModel.from_pretrained(load(base_folder), folder).eval()
    ids = [5, 17, 101, 3]
    logits = logits_of(loaded, ids)[-1]
    expected = {"versions": versions(), "baseModel": "gpt2-odd-heads", "ids": ids,
                "lastLogits": [rounded(value) for value in logits]}
    (folder / "expected.json").write_text(json.dumps(expected) + "\n")


if __name__ == "__main__":
    torch.set_num_threads(1)
    for number, name in enumerate(MODELS):
        off, losses, evaluation = make_model(name, number)
        print(name, off, "loss", losses[0], losses[-1], "evaluation", evaluation["loss"], evaluation["accuracy"])
    make_adapter()
