"""Merges and vocabulary are those of Hugging Face `tokenizers`' BpeTrainer, on any text, ties included."""

import json
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.stages import run_to_end
from core.tokenizer.learn import learn_merges
from core.tokenizer.patterns import BYTE_TO_CHAR, PATTERNS
from core.tokenizer.words import Text, count_words

os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

MULTILINGUAL = """\
The quick brown fox doesn't jump; it's the lazy dog that jumped 12 times, then 1,234 more. WE'LL SEE!
Donaudampfschifffahrtsgesellschaftskapitän und Straßenbahnhaltestellenschild – größer, am größten.
L'été dernier, j'ai mangé des crêpes à l'œuf près de l'école ; qu'est-ce que c'était bon !
El niño pequeño comió piñas mañana y mañana. ¿Dónde está la señora? ¡Allí está!
Съешь же ещё этих мягких французских булок, да выпей чаю. Ещё и ещё булок, булок и чаю.
Γαζέες καὶ μυρτιὲς δὲν θὰ βρῶ πιὰ στὸ χρυσαφὶ ξέφωτο, στὸ ξέφωτο.
我能吞下玻璃而不伤身体。我能吞下玻璃，而且不伤身体！玻璃，玻璃，还是玻璃。
いろはにほへと ちりぬるを わかよたれそ つねならむ。東京タワーと東京駅へ行きました。
키스의 고유조건은 입술끼리 만나야 하고 특별한 기술은 필요치 않다. 기술은 기술이다.
नमस्ते दुनिया। नमस्ते भारत। क्या हाल है? सब ठीक है, सब बढ़िया है। १२३ ४५६
السلام عليكم يا عالم، السلام عليكم جميعا. كيف حالكم اليوم؟ ٣٤٥
עברית שפה יפה, שפה יפה מאוד. สวัสดีชาวโลก สวัสดีครับ สวัสดีค่ะ
👩🏽‍🚀 👨‍👩‍👧‍👦 🇩🇪🇯🇵 😀😀😀 ½ ² Ⅷ ①② \u200b\u00a0\u3000e\u0301 e\u0301 e\u0301
def f(x):\r\n\tif x == 10:\r\n\t\treturn [i**2 for i in range(x)]    # squares\r\n\r\n\r\n\x20\x20
"""


def both(text, name, vocab_size, min_frequency=2, special_tokens=()):
    """(merges, vocabulary) of ours and of theirs, spelled as a tokenizer.json spells them."""
    from tokenizers import Tokenizer, pre_tokenizers, trainers

    empty = {"version": "1.0", "added_tokens": [], "model": {"type": "BPE", "vocab": {}, "merges": []}}
    tokenizer = Tokenizer.from_str(json.dumps({**empty, "pre_tokenizer": PATTERNS[name].pre_tokenizer}))
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        min_frequency=min_frequency,
        special_tokens=list(special_tokens),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator([text], trainer)
    model = json.loads(tokenizer.to_str())["model"]
    theirs = [tuple(pair) for pair in model["merges"]], model["vocab"]

    words = run_to_end(count_words([Text("text", text=text)], PATTERNS[name])).result.words
    learned = run_to_end(learn_merges(words, vocab_size, min_frequency, special_tokens)).result
    special = {number: text for text, number in learned.special_tokens.items()}
    shown = [
        special.get(n) or "".join(BYTE_TO_CHAR[b] for b in token) for n, token in enumerate(learned.tokens)
    ]
    ours = [(shown[a], shown[b]) for a, b in learned.merges], {token: n for n, token in enumerate(shown)}
    return ours, theirs


@pytest.mark.parametrize("vocab_size", [512, 5000])
@pytest.mark.parametrize("name", ["gpt2", "cl100k", "o200k", "smollm", "qwen2", "llama3"])
def test_shakespeare(shakespeare, name, vocab_size, long):
    if vocab_size == 5000 and not long and name in ("smollm", "qwen2", "llama3"):
        vocab_size = 1000
    text = shakespeare.read_bytes().decode()
    ours, theirs = both(text, name, vocab_size)
    assert len(theirs[0]) == vocab_size - 256
    assert ours == theirs


def test_shakespeare_with_special_tokens(shakespeare):
    text = shakespeare.read_bytes().decode()
    ours, theirs = both(text, "gpt2", 700, special_tokens=["<|endoftext|>", "<|im_start|>", "<日本>"])
    assert ours == theirs


@pytest.mark.parametrize("special_tokens", [[], ["<|endoftext|>", "the", "<é>"]], ids=["plain", "special"])
@pytest.mark.parametrize("name", PATTERNS)
def test_a_multilingual_text(name, special_tokens):
    ours, theirs = both(MULTILINGUAL, name, 100_000, special_tokens=special_tokens)
    assert len(theirs[0]) > 150
    assert ours == theirs


@given(
    text=st.text(st.characters(codec="utf-8"), max_size=60)
    | st.text("ab ", max_size=300)
    | st.lists(st.integers(1, 30).map(lambda n: "a" * n + " "), max_size=20).map("".join)
    | st.lists(st.sampled_from(["é", "è", "ê", "東", "京", "😀", "😁", " ", "1", "'s"]), max_size=80).map(
        "".join
    ),
    name=st.sampled_from(sorted(PATTERNS)),
    merges=st.integers(0, 200),
    min_frequency=st.integers(1, 4),
    special_tokens=st.sampled_from([(), (), ("<s>",), ("ab", "<s>"), ("a",), ("Ġa", "é")]),
)
def test_any_text(text, name, merges, min_frequency, special_tokens):
    size = 256 + len(special_tokens) + merges
    ours, theirs = both(text, name, size, min_frequency, special_tokens)
    assert ours == theirs
