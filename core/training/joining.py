"""What a run told before and what it tells now, as one history. Knows no torch."""

from __future__ import annotations

import dataclasses
from typing import Any

from core.training.events import Began
from core.training.history import History

_KINDS = ("steps", "validated", "sampled", "kept", "changes", "measured")


def joined(before: History, now: History) -> History:
    """One history; where the run goes on from an earlier step, what came later is told again.

    >>> from core.training.events import Sampled
    >>> both = joined(History(sampled=(Sampled(1, "a", "b"),)), History(sampled=(Sampled(2, "a", "c"),)))
    >>> [one.step for one in both.sampled]
    [1, 2]
    """
    before = _until(before, now.began)
    parts: dict[str, Any] = {name: getattr(before, name) + getattr(now, name) for name in _KINDS}
    return dataclasses.replace(before, plan=before.plan or now.plan, began=now.began or before.began, **parts)


def _until(told: History, began: Began | None) -> History:
    """What was told up to the step at which a run goes on."""
    if began is None:
        return told
    kept: dict[str, Any] = {
        name: tuple(one for one in getattr(told, name) if one.step <= began.step) for name in _KINDS
    }
    return dataclasses.replace(told, **kept)
