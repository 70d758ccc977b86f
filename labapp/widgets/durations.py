"""How long something takes, as it is said."""

from __future__ import annotations

from labapp.words import tr


def duration(seconds: float) -> str:
    """A time as it is said.

    >>> duration(42), duration(150), duration(9000)
    ('42 s', '3 min', '2.5 h')
    """
    if seconds < 90:
        return tr("{n:.0f} s", n=seconds)
    return tr("{n:.0f} min", n=seconds / 60 + 1e-9) if seconds < 5400 else tr("{n:.1f} h", n=seconds / 3600)
