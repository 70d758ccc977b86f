"""The small world's figures: a model that knows nothing, fakes that know one thing, counts against plain ones."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, cast

import pytest
import torch

from core.corpus.smallworld.items import (
    Analogy,
    SenseItem,
    capital_items,
    next_question_items,
    pronoun_items,
    sum_items,
)
from core.corpus.smallworld.sums import worked
from core.evals.answers import answer_all, document_ids
from core.evals.inside import find_analogies, look_for_head, noun_places, one_token_words, tell_senses
from core.evals.intervals import difference, wilson
from core.evals.smallworld import ALL, SUMS, SUMS_SEED, Scored, begins_with, evaluate_smallworld
from core.model.config import ModelConfig
from core.model.initial import new_model
from core.model.trace import Trace
from core.model.transformer import Transformer
from core.problems import LabError
from core.stages import Finished, Progress, run_to_end
from core.tokenizer.reading import read_tokenizer
from core.tokenizer.tokenizer import Tokenizer

SHIPPED = Path(__file__).parents[3] / "resources" / "lineage" / "tokenizer"


def tiny(context: int = 128) -> ModelConfig:
    return ModelConfig(
        family="gpt2", vocab_size=2048, context=context, width=32, layers=2, heads=2, kv_heads=2, head_width=16,
        hidden=64, norm="layer", norm_eps=1e-5, positions="learned", mlp="gelu_tanh", attention_bias=True,
        mlp_bias=True, qk_norm=False, tied=True,
    )  # fmt: skip


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return read_tokenizer(SHIPPED)


@pytest.fixture(scope="module")
def model() -> Transformer:
    return new_model(tiny(), torch.Generator().manual_seed(5))


def ended(stage: Any) -> Any:
    """The result of a part of a stage, which returns it instead of yielding a Finished."""

    def whole() -> Any:
        yield Finished("", (yield from stage))

    return run_to_end(whole()).result


class Oracle:
    """In place of a model: says what a table says, and ends."""

    def __init__(self, tokenizer: Tokenizer, says: dict[str, str]) -> None:
        self.config = tiny()
        end = tokenizer.special_tokens["<|endoftext|>"]
        self._rows = {
            tuple(document_ids(tokenizer, prompt)): [*tokenizer.encode(said), end]
            for prompt, said in says.items()
        }
        self._read = torch.empty(0)

    def parameters(self) -> list[torch.Tensor]:
        return []

    def __call__(self, ids: torch.Tensor, *, cache: Any, last: int) -> torch.Tensor:
        self._read = torch.cat([self._read, ids], 1) if cache.length else ids
        cache.length += ids.shape[1]
        logits = torch.zeros(len(ids), 1, self.config.vocab_size)
        for row, read in enumerate(self._read.tolist()):
            asked = next(known for known in self._rows if tuple(read[: len(known)]) == known)
            said = self._rows[asked]
            logits[row, 0, said[min(len(read) - len(asked), len(said) - 1)]] = 1.0
        return logits


def figures(
    model: Any, tokenizer: Tokenizer, which: tuple[str, ...], most: int | None = None
) -> dict[str, Scored]:
    made = run_to_end(evaluate_smallworld(cast(Transformer, model), tokenizer, which, most)).result
    return {one.name: one for one in made}


def test_a_model_that_knows_nothing_scores_low_on_all_questions(
    model: Transformer, tokenizer: Tokenizer
) -> None:
    found = figures(model, tokenizer, ALL, 12)
    assert list(found) == [
        "P1", "P2", "P5", "P5 pairs", "P5 head", "P6 king", "P6 gender pairs", "P6 capitals",
        "P7 step by step", "P7 at once", "P7", "P8 bank", "P8 mole",
    ]  # fmt: skip
    for name in ("P1", "P2", "P5", "P5 pairs", "P7 step by step", "P7 at once", "P7"):
        assert found[name].right == 0, name
        assert not found[name].reached or found[name].bar is None, name
    assert found["P6 capitals"].share < 0.2
    assert 0 < found["P8 bank"].share < 1, "chance is one half"
    sizes = {name: one.n for name, one in found.items()}
    assert sizes["P1"] == sizes["P2"] == sizes["P5"] == sizes["P7"] == 12
    assert sizes["P5 pairs"] == 6
    assert sizes["P8 bank"] == sizes["P8 mole"] == 34
    assert all(one.low <= one.share <= one.high for one in found.values())


def test_progress_comes_with_every_token_and_figures_before_the_end(
    model: Transformer, tokenizer: Tokenizer
) -> None:
    events = list(evaluate_smallworld(model, tokenizer, ("P7",), 4))
    assert [type(event) for event in events[-4:]] == [Scored, Scored, Scored, Finished]
    assert all(isinstance(event, Progress) for event in events[:-4])
    assert len(events) >= 80, "as many as tokens"


def test_one_that_asks_again_and_knows_the_capitals_is_right_everywhere(tokenizer: Tokenizer) -> None:
    says = {item.prompt: "Who rules Spain?\nWho" for item in next_question_items()}
    says |= {item.prompt: f"{item.right}." for item in capital_items()}
    found = figures(Oracle(tokenizer, says), tokenizer, ("P1", "P2"))
    assert (found["P1"].right, found["P1"].n) == (64, 64)
    assert (found["P2"].right, found["P2"].n) == (768, 768)
    assert len(found["P2"].groups) == 12
    assert all(right == n == 64 for _, right, n in found["P2"].groups)
    assert found["P1"].reached


def test_one_that_answers_is_wrong_as_a_base_model(tokenizer: Tokenizer) -> None:
    says = {item.prompt: "Paris.\nWhat is the capital of Spain?" for item in next_question_items()}
    assert figures(Oracle(tokenizer, says), tokenizer, ("P1",))["P1"].right == 0


def test_sums_are_right_if_the_answer_is_whatever_the_way(tokenizer: Tokenizer) -> None:
    items = sum_items(SUMS, SUMS_SEED)
    says = {item.step_by_step: f" {worked(item.a, item.b)}" for item in items}
    says |= {
        item.at_once: f" {item.answer}." if n < 20 else f" {item.answer}0." for n, item in enumerate(items)
    }
    found = figures(Oracle(tokenizer, says), tokenizer, ("P7",))
    assert (found["P7 step by step"].right, found["P7 at once"].right, found["P7"].right) == (200, 20, 180)
    assert found["P7"].detail.startswith("+90 points")
    assert found["P7"].low < 0.9 < found["P7"].high
    assert found["P7"].reached


def test_answers_are_those_of_one_prompt_at_a_time(model: Transformer, tokenizer: Tokenizer) -> None:
    prompts = ["The cat", "The queen of Spain", "The dog", "7 + 8 =", "Once a boy wanted to"]
    texts = ended(answer_all(model, tokenizer, prompts, 6, lambda text: False, "Asking"))
    for prompt, text in zip(prompts, texts, strict=True):
        ids = document_ids(tokenizer, prompt)
        begin = len(ids)
        for _ in range(6):
            with torch.inference_mode():
                ids.append(int(model(torch.tensor([ids]))[0, -1].argmax()))
        assert tokenizer.decode(ids[begin:]).decode("utf-8", "replace") == text


def test_a_longer_word_is_another_word() -> None:
    assert not begins_with(" Romeo", " Rome")
    assert not begins_with("Rome", " Rome")
    assert begins_with(" Rome", " Rome")


def test_the_nouns_of_a_question_are_found_where_they_are_told(tokenizer: Tokenizer) -> None:
    for item in pronoun_items():
        ids = document_ids(tokenizer, item.prompt)
        right, wrong = noun_places(tokenizer, item)
        for place, noun in ((right, item.right), (wrong, item.wrong[0])):
            assert re.search(rf"\b{noun.strip()}$", tokenizer.decode_text(ids[1 : place + 1]))


def test_a_head_that_looks_at_the_right_noun_is_found(tokenizer: Tokenizer) -> None:
    items = pronoun_items()[:8]
    places = {tuple(document_ids(tokenizer, item.prompt)): noun_places(tokenizer, item) for item in items}

    class Looking:
        config = tiny()

        def parameters(self) -> list[torch.Tensor]:
            return []

        def read(self, ids: torch.Tensor, *, explicit: bool, trace: Trace) -> None:
            for layer in range(2):
                pattern = torch.full((len(ids), 2, ids.shape[1], ids.shape[1]), 0.01)
                for row, read in enumerate(ids.tolist()):
                    right, wrong = places[tuple(read)]
                    pattern[row, :, -1, wrong] = 0.3
                    if layer == 1:
                        pattern[row, 0, -1, right] = 0.75
                trace.record(f"blocks.{layer}.attn.pattern", pattern)

    found = ended(look_for_head(cast(Transformer, Looking()), tokenizer, items))
    assert found.detail.startswith("Head 0 of layer 1")
    assert "0.75 on the right noun and 0.30 on the wrong" in found.detail
    assert (found.right, found.n) == (4, 4), "counted on the half in which it was not chosen"


def test_an_analogy_is_found_where_vectors_are_sums_of_what_they_mean(tokenizer: Tokenizer) -> None:
    model = new_model(tiny(), torch.Generator().manual_seed(6))
    at = one_token_words(tokenizer, 2048)
    parts = torch.randn(3, 32, generator=torch.Generator().manual_seed(7)) * 5
    with torch.no_grad():
        for word, meaning in {" king": (0, 2), " queen": (1, 2), " man": (0,), " woman": (1,)}.items():
            model.embed.weight[at[word]] = parts[list(meaning)].sum(0)
    items = [Analogy(" king", " man", " woman", " queen", "king")]
    items += [Analogy(" king", " man", " woman", " man", "gender pairs")]
    items += [Analogy(" Zanzibarish", " man", " woman", " queen", "capitals")]
    king, wrong, skipped = ended(find_analogies(model, tokenizer, items))
    assert (king.right, king.n) == (1, 1)
    assert king.examples[0].got == "queen"
    assert wrong.right == 0, "words of the question are no answers"
    assert (skipped.n, skipped.low, skipped.high) == (0, 0.0, 1.0)
    assert "not one token: 1 of 1." in skipped.detail
    assert not skipped.reached


def test_senses_that_words_before_give_away_are_told_apart(model: Transformer, tokenizer: Tokenizer) -> None:
    items = [
        SenseItem("bank", sense, f"{begin} {clue} bank")
        for sense, clue in (("money", "gold gold gold"), ("river", "water water water"))
        for begin in ("The", "The", "The")
    ]
    (bank,) = ended(tell_senses(model, tokenizer, items))
    assert (bank.right, bank.n) == (6, 6)
    assert bank.groups[0] == ("layer 0", 3, 6), "the same word at the same place is alike everywhere"


def test_an_interval_is_wilsons() -> None:
    """8 of 10 by hand: center (0.8 + 0.19207) / 1.38415, half 1.95996 / 1.38415 · √(0.016 + 0.0096)."""
    low, high = wilson(8, 10)
    assert (low + high) / 2 == pytest.approx((0.8 + 3.841459 / 20) / 1.3841459, abs=1e-6)
    assert (high - low) / 2 == pytest.approx(1.959964 / 1.3841459 * (0.016 + 3.841459 / 400) ** 0.5, abs=1e-6)
    assert wilson(0, 20)[0] == 0.0
    assert wilson(20, 20)[1] == 1.0
    assert difference(0, 0, 0, 0) == (-1.0, 1.0)


def test_wrong_wishes_are_refused_at_the_call(model: Transformer, tokenizer: Tokenizer) -> None:
    with pytest.raises(LabError, match="no phenomenon P10"):
        evaluate_smallworld(model, tokenizer, ("P1", "P10"))
    with pytest.raises(LabError, match="At most 1 questions"):
        evaluate_smallworld(model, tokenizer, most=1)


def test_a_context_that_is_too_short_is_said(tokenizer: Tokenizer) -> None:
    short = new_model(tiny(context=8), torch.Generator().manual_seed(5))
    with pytest.raises(LabError, match="this model looks back on 8"):
        run_to_end(evaluate_smallworld(short, tokenizer, ("P2",), 4))
