"""What one can rank at once: everyday prompts with ready candidates, and prompts of the small world.

The sixty everyday prompts are our own; their outputs were sampled from SmolLM2-135M-Instruct at four
temperatures, the settings beside each. Outputs with words that do not belong into a classroom were drawn
again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files

from core.corpus.smallworld.preferences import preference_pairs
from core.preferences.importing import DraftPrompt, read_prompts_text
from core.preferences.task import GOLD, PRACTICE, Item, Maker, make_item
from core.problems import LabError

_WORLD = 60  # prompts of the small world
_SEED = 8


@dataclass(frozen=True)
class ShippedSet:
    """A set that comes with the app.

    Attributes:
        name: For `load_shipped`.
        title: As people call it.
        about: One sentence.
        items: How many prompts.
        ready: Whether candidates come with it.
    """

    name: str
    title: str
    about: str
    items: int
    ready: bool


def shipped_sets() -> tuple[ShippedSet, ...]:
    """The sets that come with the app."""
    return (
        ShippedSet(
            "everyday", "Everyday prompts",
            "Sixty prompts from home and school, each with four outputs of SmolLM2 at four temperatures.",
            60, True,
        ),
        ShippedSet(
            "smallworld", "Small world",
            "Requests of the small world, each with a better and a worse answer of its generator.",
            _WORLD, True,
        ),
    )  # fmt: skip


def load_shipped_prompts(name: str) -> tuple[DraftPrompt, ...]:
    """The prompts of a set, with their candidates where they come ready.

    Raises:
        LabError: There is no such set.
    """
    if name == "everyday":
        text = files("resources").joinpath("preferences/everyday.jsonl").read_text(encoding="utf-8")
        return read_prompts_text(text, "jsonl", "everyday.jsonl").checked()
    if name == "smallworld":
        return tuple(_world())
    known = ", ".join(one.name for one in shipped_sets())
    raise LabError(f"There is no shipped set {name[:40]!r}.", f"There are {known}.")


def load_shipped(name: str) -> tuple[Item, ...]:
    """The items of a set that comes ready."""
    return tuple(prompt.item() for prompt in load_shipped_prompts(name))


def _world() -> Sequence[DraftPrompt]:
    made: dict[str, DraftPrompt] = {}
    for pair in preference_pairs(_SEED, "train", 20 * _WORLD):
        if len(made) == _WORLD:
            break
        outputs = ((pair.chosen, Maker("better answer")), (pair.rejected, Maker("worse answer")))
        made.setdefault(pair.prompt, DraftPrompt(pair.prompt, pair.kind, outputs))
    return list(made.values())


def practice_items() -> tuple[Item, ...]:
    """Three items with a known order, to practice on before the work."""
    return tuple(
        make_item(prompt, [(text, Maker()) for text in texts], kind=PRACTICE, key=key)
        for prompt, texts, key in _PRACTICE
    )


def gold_items() -> tuple[Item, ...]:
    """Three items whose order nobody can mistake, to be hidden among the others."""
    return tuple(
        make_item(prompt, [(text, Maker()) for text in texts], kind=GOLD, key=key)
        for prompt, texts, key in _GOLD
    )


_PRACTICE = (
    (
        "What is the capital of France?",
        (
            "The capital of France is Paris.",
            "France is a country in Europe.",
            "The capital of France is Berlin.",
        ),
        ((0,), (1,), (2,)),
    ),
    (
        "How many legs does a spider have?",
        ("A spider has eight legs.", "Eight.", "A spider has six legs, like every insect."),
        ((0, 1), (2,)),
    ),
    (
        "Say in one sentence why we wash our hands.",
        (
            "We wash our hands to remove germs that can make us ill.",
            "We wash our hands. Hands are at the end of our arms, and there are two of them. Water is wet.",
            "Bananas are yellow.",
        ),
        ((0,), (1,), (2,)),
    ),
)
_GOLD = (
    (
        "What color is a ripe banana?",
        ("A ripe banana is yellow.", "Tuesday the the of window of."),
        ((0,), (1,)),
    ),
    (
        "How many days does a week have?",
        ("A week has seven days.", "A week has forty days, and each has its own moon."),
        ((0,), (1,)),
    ),
    (
        "Write a friendly greeting.",
        ("Hello! It is good to see you.", "qqq 77 zx zx zx zx"),
        ((0,), (1,)),
    ),
)
