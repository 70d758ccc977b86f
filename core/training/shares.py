"""What a model of the small world would answer to a request, as shares of 1, without drawing a single answer.

To a request for a deed the small world knows every right plan, eight of them, and how a refusal begins. What
a model's own probabilities say of these is the share of refusals, of right plans, and, as the rest, of
anything else; it is the mean that drawing answers without end would come to. Left out: how an answer of the
third kind reads.
"""

from __future__ import annotations

import math
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass

import torch

from core.corpus.smallworld.draw import Draw
from core.corpus.smallworld.instruct import REFUSAL, DeedItem, Pair, deed_items
from core.corpus.smallworld.phrasings import PHRASINGS, TEST, TRAIN
from core.evals.answers import equal_lengths
from core.evals.assistant import ordinary_questions
from core.model.transformer import Transformer
from core.stages import Finished, Progress
from core.tokenizer.tokenizer import Tokenizer
from core.training.pieces import prompt_ids
from core.training.rows import asked

_SEED = 23  # of what is asked
_SHOWN, _UNSEEN = 4, 2  # misdeeds of each phrasing: refused in fine-tuning's rows, and never seen there
FEW = 3  # misdeeds of each phrasing where fewer are asked: two of the former, one of the latter
_PLANS = 8  # right plans of a deed
_LIKE_REFUSALS = REFUSAL.rstrip(".")


@dataclass(frozen=True)
class Reply:
    """What a model would answer to one request for a deed.

    Attributes:
        item: The request.
        refused: ln p that the answer begins as refusals do.
        planned: ln p of each right plan with its end, eight of them.
    """

    item: DeedItem
    refused: float
    planned: tuple[float, ...]


@dataclass(frozen=True)
class Shares:
    """Replies, as means over requests.

    Attributes:
        n: Requests.
        refused: Share of refusals.
        planned: Share of right plans.
        log_refused: Mean of ln p of a refusal's beginning, nats.
        log_planned: Mean of ln p of a right plan, nats.
    """

    n: int
    refused: float
    planned: float
    log_refused: float
    log_planned: float

    @property
    def other(self) -> float:
        """Share of anything else."""
        return max(0.0, 1.0 - self.refused - self.planned)


@dataclass(frozen=True)
class Asked:
    """A model's replies to fixed requests.

    Attributes:
        deeds: To requests for deeds, good and bad.
        ordinary: ln p of the right answer to ordinary questions.
    """

    deeds: tuple[Reply, ...]
    ordinary: tuple[float, ...]

    @property
    def right(self) -> float:
        """Mean share of right answers to ordinary questions."""
        return sum(map(math.exp, self.ordinary)) / len(self.ordinary) if self.ordinary else math.nan


def requests(most: int = _SHOWN + _UNSEEN) -> tuple[DeedItem, ...]:
    """Misdeeds in every phrasing, at most so many of each, and one good deed never shown in each.

    >>> len(requests(2)), len({item.phrasing for item in requests(2)})
    (60, 20)
    """
    draw = Draw(_SEED)
    made: list[DeedItem] = []
    items = deed_items()
    for phrasing in PHRASINGS:
        its = [item for item in items if item.phrasing == phrasing.name]
        bad = {split: [i for i in its if i.bad and i.deed_split == split] for split in (TRAIN, TEST)}
        shown, unseen = draw.some(bad[TRAIN], _SHOWN), draw.some(bad[TEST], _UNSEEN)
        some = [shown[0], shown[1], unseen[0], shown[2], shown[3], unseen[1]]
        good = draw.one([item for item in its if not item.bad and item.deed_split == TEST])
        made += [*some[:most], good]
    return tuple(made)


def shares(replies: Sequence[Reply]) -> Shares:
    """Means over requests.

    >>> item = deed_items()[0]
    >>> made = shares([Reply(item, math.log(0.25), (math.log(0.05),) * 8)])
    >>> round(made.refused, 2), round(made.planned, 2), round(made.other, 2)
    (0.25, 0.4, 0.35)
    """
    n = len(replies)
    if not n:
        return Shares(0, *[math.nan] * 4)
    return Shares(
        n,
        sum(math.exp(one.refused) for one in replies) / n,
        sum(math.exp(log) for one in replies for log in one.planned) / n,
        sum(one.refused for one in replies) / n,
        sum(sum(one.planned) / len(one.planned) for one in replies) / n,
    )


def measure_shares(
    model: Transformer, tokenizer: Tokenizer, items: Sequence[DeedItem], pairs: Sequence[Pair] | None = None
) -> Iterator[Progress | Finished[Asked]]:
    """Read what a model would answer.

    Args:
        model: Which model.
        tokenizer: Its own; with a chat template the requests are turns of a chat.
        items: Requests for deeds.
        pairs: Ordinary questions with their right answers; None for some of every kind.

    Raises:
        LabError: A request is longer than the model's context.
    """
    return _measure(model, tokenizer, items, ordinary_questions(6) if pairs is None else pairs)


def _measure(
    model: Transformer, tokenizer: Tokenizer, items: Sequence[DeedItem], pairs: Sequence[Pair]
) -> Iterator[Progress | Finished[Asked]]:
    space = "" if tokenizer.chat_template else " "
    ends = sorted(tokenizer.end_ids)[:1]
    rows: list[list[int]] = []
    begins: list[int] = []

    def add(before: list[int], answer: str, ended: bool) -> None:
        begins.append(len(before))
        rows.append([*before, *tokenizer.encode(space + answer), *(ends if ended else [])])

    for n, item in enumerate(items, 1):
        before = asked_ids(tokenizer, item.prompt)
        add(before, _LIKE_REFUSALS, False)
        for plan in item.plans:
            add(before, plan, True)
        if n % 10 == 0:
            yield Progress("Laying out the answers", n, len(items), "requests")
    for pair in pairs:
        add(asked_ids(tokenizer, pair.prompt), pair.completion, True)
    logs = yield from _read(model, rows, begins)
    each = 1 + _PLANS
    replies = tuple(
        Reply(item, logs[n * each], tuple(logs[n * each + 1 : (n + 1) * each]))
        for n, item in enumerate(items)
    )
    yield Finished(f"{len(items):,} requests were read.", Asked(replies, tuple(logs[len(items) * each :])))


def asked_ids(tokenizer: Tokenizer, prompt: str) -> list[int]:
    """What a model reads when it is asked: a chat where its tokenizer has a template, else plain text."""
    return prompt_ids(asked(prompt) if tokenizer.chat_template else prompt, tokenizer)


def _read(
    model: Transformer, rows: Sequence[Sequence[int]], begins: Sequence[int]
) -> Generator[Progress, None, list[float]]:
    """ln p of each row from its beginning on."""
    logs = [0.0] * len(rows)
    done = 0
    for numbers, ids in equal_lengths(model, rows):
        with torch.inference_mode():
            spread = model(ids[:, :-1]).float().log_softmax(-1)  # (B, T − 1, V)
            found = spread.gather(2, ids[:, 1:, None])[..., 0].double()  # (B, T − 1)
        for number, row in zip(numbers, found, strict=True):
            logs[number] = float(row[begins[number] - 1 :].sum())
        done += len(numbers)
        yield Progress("Reading what it would answer", done, len(rows), "answers")
    return logs
