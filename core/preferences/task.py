"""A task: prompts with candidate outputs, guidelines, and how they are to be ranked.

An item is known by its content, so the same item made on two machines is one. Who made an output is stored
with the item and never shown to the person who ranks (`session.py` leaves it out). Files of a task are
`task_files.py`'s business, answers `store.py`'s.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from core import settings as schema
from core.preferences.texts import Said, checked_text, digest, folded, plain_said
from core.problems import LabError
from core.settings import setting

FEWEST, MOST = 2, 9  # outputs of an item: digits rank them
MOST_ITEMS = 200_000
NAME_AT_MOST = 200  # characters
GUIDELINES_AT_MOST = 200_000  # characters
WORK, GOLD, PRACTICE = "work", "gold", "practice"
KINDS = (WORK, GOLD, PRACTICE)

Tiers = tuple[tuple[str, ...], ...]
"""Ids of outputs, the best tier first; those that are equally good share a tier."""

_WORD = re.compile(r"[A-Za-z0-9]+")
_KNOWN_MODELS = (
    "smollm", "chatgpt", "gpt-4", "gpt-3", "claude", "llama-", "llama 2", "llama 3", "llama2", "llama3",
    "qwen",
    "mistral ai", "mistral-", "gemini", "gemma-", "deepseek", "as an ai language model",
)  # fmt: skip


@dataclass(frozen=True)
class Maker:
    """Who made an output.

    Attributes:
        model: Name of the model, or of the person or file that it came from; "" where nobody said.
        settings: How it was sampled: temperature, seed, …
    """

    model: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Output:
    """One card: a candidate output.

    Attributes:
        id: By its text, as it is compared.
        text: As it was made.
        makers: Who made it: several where equal outputs became one card.
        marks: What a teacher should look at: "names a model: SmolLM2".
    """

    id: str
    text: str
    makers: tuple[Maker, ...] = ()
    marks: tuple[str, ...] = ()


@dataclass(frozen=True)
class Item:
    """A prompt with 2 to 9 outputs.

    Attributes:
        id: By prompt, outputs, kind and key; not by who made them.
        prompt: Text or turns of a chat.
        outputs: In the order in which they were made.
        kind: "work"; "gold" (its order is known and it is hidden among the others) or "practice".
        category: What one can opt out of, or "".
        key: The known order of a gold or practice item.
    """

    id: str
    prompt: Said
    outputs: tuple[Output, ...]
    kind: str = WORK
    category: str = ""
    key: Tiers = ()


@dataclass(frozen=True)
class Guidelines:
    """What the people who rank are asked to look at, in Markdown; every answer names the version."""

    version: int
    text: str


@dataclass(frozen=True)
class TaskSettings:
    """How the items of a task are to be ranked."""

    ranking: str = setting(
        "all", help="Whether all outputs are ranked, or only the best ones.", choices=("all", "best")
    )
    best: int = setting(
        1, help="How many outputs are ranked where only the best are.", unit="outputs", low=1, high=MOST
    )
    by_pairs: bool = setting(
        False, title="By pairs", help="Show two outputs at a time, until they are in order."
    )
    ratings: bool = setting(False, help="Ask for a rating from 1 to 7 of each output besides the ranking.")
    overlap: int = setting(
        0, help="How many people rank each item; 0 means everyone ranks everything.", unit="people",
        more_means="Surer agreement, fewer items for the same hours.", low=0, high=30,
    )  # fmt: skip
    repeats: int = setting(
        0, help="How many of a hundred items a person is given a second time, in another order.", unit="%",
        more_means="Self-consistency is known better.", low=0, high=50,
    )  # fmt: skip
    flags: str = setting("harmful, wrong, off topic", help="What an output can be flagged as, with commas.")
    warning: str = setting("", help="What people are warned of before they begin, or nothing.")
    who_sees: str = setting(
        "The teacher who made this task.",
        title="Who sees it",
        help="Who will read the answers, as people are told.",
    )
    minutes: int = setting(
        45, help="How long the task takes, as people are told.", unit="min", low=1, high=10_000
    )
    own_pace: bool = setting(False, title="Own pace", help="Show people their own pace.")
    practice_mark: int = setting(
        0, title="Practice mark", unit="%",
        help="Share of practice pairs that must be right before the work.",
        low=0, high=100,
    )  # fmt: skip


@dataclass(frozen=True)
class Task:
    """Everything that a person needs to rank, and a teacher to recognize the answers.

    Attributes:
        id: Random; two tasks of the same content are told apart by it, and merged by `sha256`.
        name: As people call it.
        created: UTC.
        guidelines: The version that counts.
        settings: How the items are ranked.
        items: In the order in which they are worked through; practice first.
        key_id: Names the secret with which pseudonyms are made; the secret itself never travels.
    """

    id: str
    name: str
    created: datetime
    guidelines: Guidelines
    settings: TaskSettings
    items: tuple[Item, ...]
    key_id: str = ""

    @property
    def sha256(self) -> str:
        """By the items alone: the same task, whoever holds it and whatever its guidelines say by now."""
        return content_of(item.id for item in self.items)

    @property
    def flags(self) -> tuple[str, ...]:
        """What an output can be flagged as."""
        return flags_of(self.settings)


def flags_of(settings: TaskSettings) -> tuple[str, ...]:
    """The flags of a task.

    >>> flags_of(TaskSettings(flags="wrong, off topic,,wrong"))
    ('wrong', 'off topic')
    """
    named = [flag.strip() for flag in settings.flags.split(",")]
    return tuple(dict.fromkeys(flag for flag in named if flag))


def content_of(ids: Any) -> str:
    """The sha256 of a task: that of the ids of its items, in whatever order they stand."""
    return digest("task", sorted(ids))


def output_id(text: str) -> str:
    r"""Id of an output: equal texts have equal ones, whatever their white space.

    >>> output_id("Paris.") == output_id("Paris.\n") != output_id("paris.")
    True
    """
    return digest("output", folded(text))[:16]


def make_item(
    prompt: Said,
    outputs: Sequence[tuple[str, Maker]],
    *,
    kind: str = WORK,
    category: str = "",
    key: Sequence[Sequence[int]] = (),
) -> Item:
    """An item of candidates as they were made: equal outputs become one card, marks are set.

    Args:
        prompt: Text or turns.
        outputs: Text and maker of each candidate.
        kind: "work", "gold" or "practice".
        category: What one can opt out of, or "".
        key: For gold and practice: places in `outputs`, the best tier first.

    Raises:
        LabError: Fewer than two different outputs, more than nine, or a key that does not fit.
    """
    cards: dict[str, Output] = {}
    places = []
    for number, (text, maker) in enumerate(outputs, 1):
        checked_text(text, f"Output {number}")
        id = output_id(text)
        places.append(id)
        known = cards.get(id)
        makers = (*known.makers, maker) if known else (maker,)
        cards[id] = Output(id, known.text if known else text, makers)
    if not FEWEST <= len(cards) <= MOST:
        raise LabError(
            f"{len(cards)} different outputs are there; an item has {FEWEST} to {MOST}.",
            "Sample more, at a higher temperature, or leave the prompt out."
            if len(cards) < FEWEST
            else "Leave some out.",
        )
    names = [maker.model for _, maker in outputs]
    made = tuple(
        Output(card.id, card.text, card.makers, marks_of(card.text, names)) for card in cards.values()
    )
    tiers = _tiers(key, places)
    if kind not in KINDS:
        raise ValueError(f"kind {kind!r}")
    if (kind != WORK) != bool(tiers):
        raise LabError(
            f"A {kind} item has {'no' if kind != WORK else 'a'} known order.",
            "Gold and practice items need one; others have none.",
        )
    return Item(_item_id(prompt, made, kind, tiers), prompt, made, kind, category.strip()[:60], tiers)


def _tiers(key: Sequence[Sequence[int]], places: Sequence[str]) -> Tiers:
    try:
        tiers = tuple(tuple(dict.fromkeys(places[place] for place in tier)) for tier in key)
    except IndexError as error:
        raise LabError(
            "The known order names an output that is not there.", "Count outputs from 0."
        ) from error
    named = [id for tier in tiers for id in tier]
    if tiers and (len(set(named)) != len(named) or set(named) != set(places)):
        raise LabError("The known order does not name every output once.", "Mend the order.")
    return tiers


def _item_id(prompt: Said, outputs: Sequence[Output], kind: str, key: Tiers) -> str:
    ids = sorted(output.id for output in outputs)
    texts = sorted(output.text for output in outputs)
    return digest("item", plain_said(prompt), ids, texts, kind, key)[:24]


def same_id(item: Item) -> bool:
    """Whether an item from a file is what its id says.

    >>> same_id(make_item("2 + 2 =", [("4", Maker()), ("5", Maker())]))
    True
    """
    return item.id == _item_id(item.prompt, item.outputs, item.kind, item.key) and all(
        output.id == output_id(output.text) for output in item.outputs
    )


def marks_of(text: str, models: Sequence[str]) -> tuple[str, ...]:
    """What in an output gives away who made it.

    >>> marks_of("I am SmolLM, a model by Hugging Face.", ["SmolLM2-135M-Instruct"])
    ('names a model: smollm',)
    >>> marks_of("The base of a tree.", ["Small world, base"])
    ()
    """
    low = text.casefold()
    own = {name.casefold() for name in models if len(_WORD.findall(name)) == 1 and len(name) > 3}
    named = [name for name in (*sorted(own), *_KNOWN_MODELS) if name in low]
    return tuple(f"names a model: {name}" for name in dict.fromkeys(named))


def make_task(
    name: str, items: Sequence[Item], guidelines: str, settings: TaskSettings | None = None, key_id: str = ""
) -> Task:
    """A task; practice items come first, gold ones are spread among the others.

    Raises:
        LabError: No item, too many, one that stands twice, settings at fault, or a name that will not do.
    """
    settings = settings or TaskSettings()
    schema.check(settings)
    name = name.strip()
    if not name or len(name) > NAME_AT_MOST or not name.isprintable():
        raise LabError(
            f"The name {name[:80]!r} will not do.", f"Choose 1 to {NAME_AT_MOST} characters on one line."
        )
    if len(guidelines) > GUIDELINES_AT_MOST:
        raise LabError(
            f"The guidelines have {len(guidelines):,} characters.", "Shorten them: nobody reads as much."
        )
    if not items:
        raise LabError("The task has no item.", "Add prompts with at least two outputs each.")
    if len(items) > MOST_ITEMS:
        raise LabError(
            f"The task has {len(items):,} items; at most {MOST_ITEMS:,} are taken.", "Make two tasks."
        )
    by_id = {item.id: item for item in items}
    if len(by_id) != len(items):
        raise LabError(
            f"{len(items) - len(by_id):,} items stand twice.", "Leave out prompts that have the same outputs."
        )
    return Task(
        secrets.token_hex(12), name, datetime.now(UTC), Guidelines(1, guidelines), settings,
        _spread(items), key_id or secrets.token_hex(4),
    )  # fmt: skip


def _spread(items: Sequence[Item]) -> tuple[Item, ...]:
    """Practice first; gold at places that its ids choose, so that nobody can tell it by where it stands."""
    practice = [item for item in items if item.kind == PRACTICE]
    made = [item for item in items if item.kind == WORK]
    for item in sorted((item for item in items if item.kind == GOLD), key=lambda gold: gold.id):
        made.insert(int(item.id[:12], 16) % (len(made) + 1), item)
    return (*practice, *made)


def shown_order(item_id: str, outputs: Sequence[str], annotator: str, attempt: int) -> tuple[str, ...]:
    """The order in which a person sees the outputs: by chance, and the same whenever it is asked for.

    >>> order = shown_order("i", ["a", "b", "c"], "ada", 0)
    >>> sorted(order), order == shown_order("i", ["a", "b", "c"], "ada", 0)
    (['a', 'b', 'c'], True)
    """
    return tuple(sorted(outputs, key=lambda id: digest("order", item_id, annotator, attempt, id)))
