"""What differs between two texts, word by word, as places to be marked."""

from __future__ import annotations

import re
from difflib import SequenceMatcher

LONGEST = 4_000  # words; longer texts are not compared: the time grows with their product
_WORD = re.compile(r"\w+|[^\w\s]")


def differences(text: str, other: str) -> list[tuple[int, int]] | None:
    """Where `text` says what `other` does not: starts and ends, in characters; None where both are too long.

    >>> differences("a red fox", "a blue fox")
    [(2, 5)]
    >>> differences("same", "same")
    []
    """
    mine, theirs = list(_WORD.finditer(text)), _WORD.findall(other)
    if len(mine) > LONGEST or len(theirs) > LONGEST:
        return None
    matcher = SequenceMatcher(
        None, [word.group().casefold() for word in mine], [w.casefold() for w in theirs], False
    )
    return [
        (mine[start].start(), mine[end - 1].end())
        for what, start, end, _, _ in matcher.get_opcodes()
        if what in ("replace", "delete")
    ]
