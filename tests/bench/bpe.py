"""Learning merges against Hugging Face `tokenizers`, one thread each: from a file on disk to the merges.

Ours: read, check UTF-8, split, count, learn, one event per merge pulled. Theirs: read the file as one string,
`train_from_iterator`. Both with GPT-2's pattern, the whole byte alphabet and a smallest count of 2. The answer
that must be equal is the list of merges, spelled.

The 22 MB text is tinyshakespeare 20 times, with its words varied so that the copies are not the same words: in
copy k each word of five letters or more, chosen by crc32(word and k) modulo 4 == 0, has its letters moved
forward by k in the alphabet. That makes some 65,000 different words of 15,000.
"""

from __future__ import annotations

import json
import os
import re
import sys
import tempfile
import zlib
from pathlib import Path

os.environ["RAYON_NUM_THREADS"] = "1"  # before tokenizers is imported
os.environ["TOKENIZERS_PARALLELISM"] = "false"

from tokenizers import Tokenizer, pre_tokenizers, trainers

from core.stages import run_to_end
from core.tokenizer.learn import learn_merges
from core.tokenizer.patterns import BYTE_TO_CHAR, PATTERNS
from core.tokenizer.words import Text, count_words
from tests.bench.harness import Case, main

PATTERN = PATTERNS["gpt2"]
ROOT = Path(__file__).resolve().parents[2]

Merges = list[tuple[str, str]]


def ours(path: Path, merges: int) -> Merges:
    """The merges as our stages learn them."""
    counts = run_to_end(count_words([Text(path.name, path=path)], PATTERN)).result
    learned = run_to_end(learn_merges(counts.words, 256 + merges)).result
    shown = ["".join(BYTE_TO_CHAR[byte] for byte in token) for token in learned.tokens]
    return [(shown[left], shown[right]) for left, right in learned.merges]


def theirs(path: Path, merges: int) -> Merges:
    """The merges as BpeTrainer learns them."""
    empty = {"version": "1.0", "added_tokens": [], "model": {"type": "BPE", "vocab": {}, "merges": []}}
    tokenizer = Tokenizer.from_str(json.dumps({**empty, "pre_tokenizer": PATTERN.pre_tokenizer}))
    trainer = trainers.BpeTrainer(
        vocab_size=256 + merges,
        min_frequency=2,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    text = path.read_bytes().decode()
    tokenizer.train_from_iterator([text], trainer)
    return [tuple(pair) for pair in json.loads(tokenizer.to_str())["model"]["merges"]]


def varied(text: str, copies: int) -> str:
    """The text many times, each copy with a quarter of its longer words changed (see above)."""
    words = sorted(set(re.findall("[A-Za-z]{5,}", text)))
    made = [text]
    for k in range(1, copies):
        chosen = {w: _moved(w, k) for w in words if zlib.crc32(f"{w} {k}".encode()) % 4 == 0}
        made.append(re.sub("[A-Za-z]{5,}", lambda found, c=chosen: c.get(found[0], found[0]), text))
    return "".join(made)


def _moved(word: str, by: int) -> str:
    return "".join(chr((ord(c) - (base := 65 if c < "a" else 97) + by) % 26 + base) for c in word)


def cases(folder: Path) -> list[Case]:
    """The three cases of DESIGN 10."""
    named = os.environ.get("LLMLAB_CORPORA")  # found as tests/conftest.py finds it
    folders = [Path(named)] if named else [ROOT / "shared" / "corpora", ROOT.parent / "shared" / "corpora"]
    source = next((f / "tinyshakespeare.txt" for f in folders if (f / "tinyshakespeare.txt").is_file()), None)
    if source is None:
        sys.exit("error: tinyshakespeare.txt is not here. / try: name its folder in LLMLAB_CORPORA")
    large = folder / "shakespeare-22mb.txt"
    if {"--case", "22mb"} <= set(sys.argv) or "--case" not in sys.argv:
        large.write_text(varied(source.read_text(encoding="utf-8"), 20), encoding="utf-8", newline="")

    def case(name: str, path: Path, merges: int, bar: float) -> Case:
        work = f"learn {merges:,} merges from {path.name}, {path.stat().st_size / 1e6:.1f} MB"
        return Case(name, work, lambda: ours(path, merges), lambda: theirs(path, merges), bar)

    made = [case("256", source, 256, 1.0), case("4744", source, 4_744, 2.0)]
    return [*made, case("22mb", large, 768, 1.5)] if large.exists() else made


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as made_in:
        status = main(
            "bpe: learning merges, file to merges", "tokenizers (Rust), BpeTrainer", ("tokenizers", "regex", "numpy"),
            threads=1, make=lambda: cases(Path(made_in)),
        )  # fmt: skip
    sys.exit(status)
