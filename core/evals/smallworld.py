"""What a model of the small world can do, asked about what it has not read: the phenomena P1 to P8.

The questions are those of `core.corpus.smallworld.items`. P1, P2, P5 and P7 are asked here; P6, P8 and the
head of P5 are looked up inside the model (`inside.py`). P3, P4 and P2 in a chat belong to fine-tuned models
(`assistant.py`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Iterator, Sequence

from core.corpus.smallworld.items import (
    Choice,
    SumItem,
    analogy_items,
    capital_items,
    next_question_items,
    pronoun_items,
    sense_items,
    sum_items,
)
from core.evals.answers import answer_all
from core.evals.assistant import ASSISTANT
from core.evals.assistant import SCORERS as OF_ASSISTANTS
from core.evals.inside import find_analogies, look_for_head, tell_senses
from core.evals.intervals import difference
from core.evals.scored import Answer, Scored, evenly, score_answers
from core.model.transformer import Transformer
from core.problems import LabError
from core.stages import Finished, Progress
from core.tokenizer.tokenizer import Tokenizer

__all__ = ["ALL", "ASSISTANT", "Answer", "Scored", "evaluate_smallworld"]

ALL = ("P1", "P2", "P5", "P6", "P7", "P8")
"""The phenomena of a base model; those of a fine-tuned one are `ASSISTANT`."""
SUMS = 200  # asked in both forms
SUMS_SEED = 7
_LINE = 24  # tokens of a line at most
_AT_ONCE, _STEPS = 6, 80  # tokens of an answer at most

Scoring = Generator[Progress, None, tuple[Scored, ...]]


def evaluate_smallworld(
    model: Transformer, tokenizer: Tokenizer, which: tuple[str, ...] = ALL, most: int | None = None
) -> Iterator[Progress | Scored | Finished[tuple[Scored, ...]]]:
    """Score a model; figures come as they are known.

    Args:
        model: Which model.
        tokenizer: Its tokenizer.
        which: Names of phenomena.
        most: Ask at most so many of each, evenly chosen; None for all. Senses are always asked in full.

    Raises:
        LabError: A phenomenon has another name, or `most` is below 2.
    """
    unknown = [name for name in which if name not in _SCORERS]
    if unknown:
        raise LabError(
            f"There is no phenomenon {', '.join(unknown)}.", f"Choose among {', '.join(_SCORERS)}."
        )
    if most is not None and most < 2:
        raise LabError(f"At most {most} questions were to be asked.", "Choose 2 or more.")
    return _evaluate(model, tokenizer, which, most)


def _evaluate(
    model: Transformer, tokenizer: Tokenizer, which: tuple[str, ...], most: int | None
) -> Iterator[Progress | Scored | Finished[tuple[Scored, ...]]]:
    all_scored: list[Scored] = []
    for name in which:
        scored = yield from _SCORERS[name](model, tokenizer, most)
        yield from scored
        all_scored += scored
    reached = sum(one.reached for one in all_scored if one.bar is not None)
    bars = sum(one.bar is not None for one in all_scored)
    yield Finished(f"{reached} of {bars} bars are reached.", tuple(all_scored))


def _next_questions(model: Transformer, tokenizer: Tokenizer, most: int | None) -> Scoring:
    """P1."""
    items = evenly(next_question_items(), most)
    prompts = [item.prompt for item in items]
    texts = yield from answer_all(
        model, tokenizer, prompts, _LINE, lambda text: "\n" in text, "Asking bare questions"
    )
    answers = [
        Answer(item.prompt, "another question", text, asks_again(text), item.group)
        for item, text in zip(items, texts, strict=True)
    ]
    return (score_answers("P1", "A bare question is followed by another question", answers, 0.90),)


def asks_again(text: str) -> bool:
    """Whether the first line of a text is a question.

    >>> asks_again("Who rules Spain?\\nWhat is"), asks_again("Paris.\\nWho?")
    (True, False)
    """
    return text.split("\n", 1)[0].rstrip().endswith("?")


def _capitals(model: Transformer, tokenizer: Tokenizer, most: int | None) -> Scoring:
    """P2."""
    items = evenly(capital_items(), most)
    answers = yield from _choose(model, tokenizer, items, "Asking for capitals")
    return (score_answers("P2", "Capitals in sentences that it has not read", answers, 0.95),)


def _choose(
    model: Transformer, tokenizer: Tokenizer, items: Sequence[Choice], doing: str
) -> Generator[Progress, None, list[Answer]]:
    """Answers that have to begin with the right word."""
    longest = max(len(tokenizer.encode(item.right)) for item in items)
    prompts = [item.prompt for item in items]
    texts = yield from answer_all(model, tokenizer, prompts, longest + 1, lambda text: False, doing)
    return [
        Answer(item.prompt, item.right, text, begins_with(text, item.right), item.group)
        for item, text in zip(items, texts, strict=True)
    ]


def begins_with(text: str, word: str) -> bool:
    """Whether a text begins with a word, and the word ends there.

    >>> begins_with(" Rome, of", " Rome"), begins_with(" Romeo", " Rome")
    (True, False)
    """
    return text.startswith(word) and not text[len(word) : len(word) + 1].isalnum()


def _pronouns(model: Transformer, tokenizer: Tokenizer, most: int | None) -> Scoring:
    """P5: each answer, both answers of a pair, and the head that looks at the noun."""
    items = pronoun_items()
    twos = evenly(
        list(zip(items[::2], items[1::2], strict=True)), None if most is None else max(1, most // 2)
    )
    items = tuple(item for two in twos for item in two)
    answers = yield from _choose(model, tokenizer, items, "Asking whom “it” means")
    pairs = [
        Answer(
            f"{first.prompt} / {second.prompt}",
            f"{first.expected} / {second.expected}",
            f"{first.got} / {second.got}",
            first.right and second.right,
            first.group,
        )
        for first, second in zip(answers[::2], answers[1::2], strict=True)
    ]
    head = yield from look_for_head(model, tokenizer, items)
    detail = "An animal and a thing that never met in the corpus."
    return (
        score_answers("P5", "What “it” means: the noun that the adjective fits", answers, 0.95, detail),
        score_answers(
            "P5 pairs", "… and right both ways, when the adjective alone changes", pairs, 0.95, detail
        ),
        head,
    )


def _analogies(model: Transformer, tokenizer: Tokenizer, most: int | None) -> Scoring:
    """P6; king − man + woman comes first and is always asked."""
    king, *others = analogy_items()
    return (yield from find_analogies(model, tokenizer, (king, *evenly(others, most))))


def _senses(model: Transformer, tokenizer: Tokenizer, most: int | None) -> Scoring:
    """P8; there are few sentences, so `most` is not asked."""
    return (yield from tell_senses(model, tokenizer, sense_items()))


def _sums(model: Transformer, tokenizer: Tokenizer, most: int | None) -> Scoring:
    """P7: the same sums in both forms."""
    items = sum_items(SUMS if most is None else min(most, SUMS), SUMS_SEED)
    steps = yield from _ask_sums(
        model,
        tokenizer,
        items,
        [item.step_by_step for item in items],
        _STEPS,
        stepped_answer,
        "Sums step by step",
    )
    once = yield from _ask_sums(
        model, tokenizer, items, [item.at_once for item in items], _AT_ONCE, direct_answer, "Sums at once"
    )
    by_steps = score_answers("P7 step by step", "Held-out sums of two digits, step by step", steps, None)
    at_once = score_answers("P7 at once", "The same sums, answered at once", once, None)
    low, high = difference(by_steps.right, len(items), at_once.right, len(items))
    more = by_steps.right - at_once.right
    gap = Scored(
        "P7", "Step by step is better than at once", more, len(items), low, high, 0.70,
        detail=f"{100 * more / len(items):+.0f} points; the limits take the two as independent.",
    )  # fmt: skip
    return by_steps, at_once, gap


def _ask_sums(
    model: Transformer,
    tokenizer: Tokenizer,
    items: Sequence[SumItem],
    prompts: Sequence[str],
    tokens: int,
    read: Callable[[str], str],
    doing: str,
) -> Generator[Progress, None, list[Answer]]:
    """Answers of one form; `read` finds the digits of the answer, "" while they are not complete."""
    texts = yield from answer_all(model, tokenizer, prompts, tokens, lambda text: bool(read(text)), doing)
    return [
        Answer(prompt, item.answer, text, read(text + " ") == item.answer)
        for item, prompt, text in zip(items, prompts, texts, strict=True)
    ]


def stepped_answer(text: str) -> str:
    """The digits behind "The answer is", once something else follows them.

    >>> stepped_answer("7 + 8 = 15, write 5. The answer is 85."), stepped_answer("The answer is 8")
    ('85', '')
    """
    found = re.search(r"The answer is (\d+)\D", text)
    return found[1] if found else ""


def direct_answer(text: str) -> str:
    """The digits with which a text begins, once something else follows them.

    >>> direct_answer(" 85. At"), direct_answer(" 85"), direct_answer(" is 85.")
    ('85', '', '')
    """
    found = re.match(r"\s*(\d+)\D", text)
    return found[1] if found else ""


_SCORERS: dict[str, Callable[[Transformer, Tokenizer, int | None], Scoring]] = {
    "P1": _next_questions,
    "P2": _capitals,
    "P5": _pronouns,
    "P6": _analogies,
    "P7": _sums,
    "P8": _senses,
    **OF_ASSISTANTS,
}
