"""A model writes, and its text is looked up in the training text; what a base model makes of questions."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from core.model.generation import Reader, Written, Wrote, generate
from core.model.settings import GenerationSettings
from core.model.transformer import Transformer
from core.problems import LabError
from core.stages import Finished, Progress, pass_on
from core.tokenizer.tokenizer import Tokenizer
from core.training.copies import Copies, CopyIndex, find_copies, index_tokens
from core.training.tokens import SEPARATOR, open_tokens

QUESTIONS = (
    ("What is the capital of France?\n", "Paris"),
    ("The capital of France is", "Paris"),
    (
        "What is the capital of Italy?\nThe capital of Italy is Rome.\n"
        "What is the capital of Spain?\nThe capital of Spain is Madrid.\n"
        "What is the capital of France?\n",
        "Paris",
    ),
)
"""What a base model is asked and what a right answer holds: a question, a beginning, and two examples."""

ANSWER = 24  # tokens of an answer at most


@dataclass(frozen=True, eq=False)
class Compared:
    """What a model wrote, and what of it was copied.

    Attributes:
        ids: The text with its prompt.
        copies: What was found in the training text; None where that is not known.
        index: The training text.
    """

    ids: tuple[int, ...]
    copies: Copies | None
    index: CopyIndex | None


@dataclass(frozen=True)
class Answered:
    """What a model made of a question, always taking the most probable token.

    Attributes:
        prompt: The question.
        text: The first line that the model wrote.
        right: Whether what was asked for is in it.
    """

    prompt: str
    text: str
    right: bool


def write_and_compare(
    model: Transformer,
    tokenizer: Tokenizer,
    prompt: str,
    settings: GenerationSettings,
    training: Path | CopyIndex | None,
) -> Iterator[Progress | Wrote | Finished[Compared]]:
    """Have a model go on from a prompt, and find for each token the longest match in its training text.

    Args:
        model: Who writes.
        tokenizer: Its tokenizer.
        prompt: May be empty: then the model begins a document, where its tokenizer has a mark for that.
        settings: How it writes.
        training: Its training text, indexed, or the folder of its tokens; None where it is not known.

    Raises:
        LabError: A setting is outside its limits, the prompt is too long, or there is nothing to go on from.
    """
    ids = tokenizer.encode(prompt or SEPARATOR, special="text" if prompt else "all")
    if not prompt and len(ids) != 1:
        raise LabError("There is no prompt, and this model has no mark to begin a text with.", "Type a word.")
    return _write(generate(Reader(model), ids, settings), tuple(ids), training)


def _write(
    writing: Iterator[Progress | Wrote | Finished[Written]],
    ids: tuple[int, ...],
    training: Path | CopyIndex | None,
) -> Iterator[Progress | Wrote | Finished[Compared]]:
    written: Written = yield from pass_on(writing)
    whole = ids + written.ids
    if training is None:
        yield Finished("The training text of this model is not here.", Compared(whole, None, None))
        return
    index: CopyIndex = (
        training
        if isinstance(training, CopyIndex)
        else (yield from pass_on(index_tokens(open_tokens(training).train)))
    )
    copies: Copies = yield from pass_on(find_copies(index, whole, len(ids)))
    yield Finished(f"{copies.counted:,} tokens are compared.", Compared(whole, copies, index))


def ask_questions(
    model: Transformer, tokenizer: Tokenizer
) -> Iterator[Progress | Finished[tuple[Answered, ...]]]:
    """Ask a model the three `QUESTIONS`; the first line of each answer counts."""
    answers = []
    for number, (prompt, wanted) in enumerate(QUESTIONS):
        yield Progress("Asking", number, len(QUESTIONS), "questions")
        settings = GenerationSettings(temperature=0.0, max_tokens=ANSWER)
        stage = generate(Reader(model), tokenizer.encode(prompt), settings, tokenizer.end_ids)
        written: Written = yield from pass_on(event for event in stage if not isinstance(event, Wrote))
        text = tokenizer.decode_text(written.ids).strip("\n").partition("\n")[0].strip()
        answers.append(Answered(prompt, text, wanted in text))
    yield Finished("All questions are asked.", tuple(answers))
