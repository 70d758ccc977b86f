"""What is written of a set of rankings, and how."""

from __future__ import annotations

from dataclasses import dataclass

from core.preferences.pairs import TAKEN
from core.settings import setting

FORMATS = ("native", "trl", "trl_chat", "kto", "hh", "csv")
FILES = {
    "native": "rankings.jsonl",
    "trl": "trl.jsonl",
    "trl_chat": "trl_chat.jsonl",
    "kto": "kto.jsonl",
    "hh": "hh.jsonl",
    "csv": "rankings.csv",
}
TITLES = {
    "native": "Everything (JSON Lines)",
    "trl": "TRL preference, text",
    "trl_chat": "TRL preference, chat",
    "kto": "TRL unpaired, for KTO",
    "hh": "Anthropic HH",
    "csv": "Table (CSV)",
}


@dataclass(frozen=True)
class ExportSettings:
    """How rankings become a dataset."""

    pairs: str = setting("all", help="Which pairs of a ranking are written.", choices=TAKEN)
    people: str = setting(
        "each", choices=("each", "majority"),
        help="A row for each person, or one for each two outputs by majority; even votes are left out.",
    )  # fmt: skip
    at_least: int = setting(
        1, title="Votes", help="Votes that the better output needs, by majority.", unit="people", low=1,
        high=100, more_means="Fewer and surer pairs.",
    )  # fmt: skip
    ties: bool = setting(
        False,
        help="Write ties too, to a file of their own with the label 0.5; the strict files leave them out.",
    )
    all_bad: bool = setting(
        False, title="Also of “all bad”", help="Write pairs of items whose outputs somebody called all bad."
    )
    validation: int = setting(
        10, help="Prompts of a hundred that are held out: all pairs of a prompt go the same way.", unit="%",
        low=0, high=50,
    )  # fmt: skip
    comments: bool = setting(False, help="Write people's comments, which may tell who they are.")
    models: bool = setting(True, help="Write who made each output.")
    fresh: bool = setting(
        True,
        title="New pseudonyms",
        help="Name people anew in this export, so that two exports cannot be joined.",
    )
    license: str = setting("unknown", help="License of the dataset, as the card names it.")
