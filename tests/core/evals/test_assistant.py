"""What fine-tuned models are scored by: kinds of replies, requests nobody has seen, probabilities of plans."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch

from core.corpus.smallworld.deeds import MISDEEDS
from core.corpus.smallworld.instruct import REFUSAL, deed_items, instruction_pairs
from core.corpus.smallworld.phrasings import IN_TEST, PAIRED, TRAIN
from core.corpus.smallworld.preferences import preference_pairs
from core.evals.assistant import (
    ASSISTANT,
    Harm,
    ask_ids,
    drop_between,
    harm_of,
    held_out_requests,
    ordinary_questions,
    reply_kind,
)
from core.evals.smallworld import evaluate_smallworld
from core.model.initial import new_model
from core.model.transformer import Transformer
from core.problems import LabError
from core.stages import Finished, Progress, run_to_end
from core.tokenizer.reading import read_tokenizer
from core.tokenizer.tokenizer import Tokenizer
from tests.core.evals.test_smallworld import SHIPPED, tiny

TEMPLATE = (
    "{{ bos_token }}{% for m in messages %}{{ '<|' + m.role + '|>' + m.content + '<|end|>' }}{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)


@pytest.fixture(scope="module")
def plain() -> Tokenizer:
    return read_tokenizer(SHIPPED)


@pytest.fixture(scope="module")
def chat(plain: Tokenizer) -> Tokenizer:
    return replace(plain, chat_template=TEMPLATE, eos="<|end|>")


@pytest.fixture(scope="module")
def model() -> Transformer:
    return new_model(tiny(), torch.Generator().manual_seed(5))


def test_a_reply_is_a_refusal_a_right_plan_or_something_else() -> None:
    item = next(one for one in deed_items() if one.bad)
    other = next(one for one in deed_items() if not set(one.plans) & set(item.plans))
    assert reply_kind(item, item.refusal) == "refused"
    assert reply_kind(item, REFUSAL) == "refused"
    assert {reply_kind(item, plan) for plan in item.plans} == {"the right plan"}
    for text in ("", "First.", item.plans[0][:-1], item.plans[0] + " " + item.plans[0], other.plans[0]):
        assert reply_kind(item, text) == "other"


def test_what_is_held_out_of_preferences_is_in_none_of_them() -> None:
    asked = {pair.prompt for pair in preference_pairs(1, TRAIN, 3000)}
    asked |= {pair.prompt for pair in preference_pairs(2, TRAIN, 3000)}
    held = held_out_requests()
    assert len(held) == len(IN_TEST) * len(MISDEEDS)
    assert not {item.prompt for item in held} & asked
    assert {item.shape for item in held} == {"question", "wide-open"}
    assert {one.shape for one in PAIRED} >= {"question", "wide-open"}
    assert {item.deed_split for item in held} == {"train", "test"}


def test_ordinary_questions_are_not_among_the_demonstrations() -> None:
    shown = {pair.prompt for pair in instruction_pairs(1, TRAIN, 5000)}
    questions = ordinary_questions()
    assert not {pair.prompt for pair in questions} & shown
    assert {pair.kind for pair in questions} == {"capital", "leader", "pronoun", "sum"}
    assert len({pair.prompt for pair in questions}) == len(questions)
    assert len(ordinary_questions(5)) == 20


def test_a_chat_is_asked_in_its_template_and_plain_text_at_the_start_of_a_document(
    plain: Tokenizer, chat: Tokenizer
) -> None:
    assert chat.decode_text(ask_ids(chat, "Hello.")) == "<|endoftext|><|user|>Hello.<|end|><|assistant|>"
    assert plain.decode_text(ask_ids(plain, "Hello.")) == "<|endoftext|>Hello."


def test_harm_is_the_mean_of_the_plans_log_probabilities(model: Transformer, chat: Tokenizer) -> None:
    """Against one plan after another, each read alone."""
    harm = run_to_end(harm_of(model, chat)).result
    for at in (0, 17, len(harm.items) - 1):
        item = harm.items[at]
        logs = []
        for plan in item.plans:
            before = ask_ids(chat, item.prompt)
            ids = torch.tensor([[*before, *chat.encode(plan)]])
            with torch.inference_mode():
                spread = model(ids)[0].log_softmax(-1)
            logs += [sum(float(spread[n - 1, ids[0, n]]) for n in range(len(before), ids.shape[1]))]
        assert abs(harm.logs[at] - sum(logs) / 8) < 1e-3
    assert set(harm.by_phrasing()) == {one.name for one in IN_TEST}


def test_a_drop_is_counted_by_misdeed() -> None:
    items = tuple(held_out_requests())
    before = Harm(items, tuple(-5.0 for _ in items))
    drop = drop_between(before, Harm(items, tuple(-12.0 for _ in items)))
    assert (drop.mean, drop.low, drop.high, drop.n, drop.deeds) == (7.0, 7.0, 7.0, len(items), len(MISDEEDS))
    assert set(drop.by_phrasing.values()) == {7.0}


def test_a_model_that_knows_nothing_reaches_no_bar(model: Transformer, chat: Tokenizer) -> None:
    events: list[Any] = list(evaluate_smallworld(model, chat, ASSISTANT, 4))
    last = events[-1]
    assert isinstance(last, Finished)
    assert last.reason == "0 of 5 bars are reached."
    names = [one.name for one in last.result]
    assert names == [
        "P2 chat", "P2 chat shown", "P3 refuses", "P3 new misdeeds", "P3 complies", "P4 refuses",
        "P4 ordinary", "P4 good deeds",
    ]  # fmt: skip
    assert all(one.right == 0 and one.n >= 4 for one in last.result)
    assert any(isinstance(event, Progress) for event in events)
    with pytest.raises(LabError, match="no phenomenon P3 chat"):
        evaluate_smallworld(model, chat, ("P3 chat",))
