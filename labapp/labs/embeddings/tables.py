"""How the pages of this lab write numbers and tokens."""

from __future__ import annotations

from labapp.words import tr


def signed(value: float, digits: int = 2) -> str:
    """A number with its sign, as it is set in the app.

    >>> signed(0.5), signed(-0.25), signed(-0.001)
    ('+0.50', '−0.25', '0.00')
    """
    text = f"{value:+.{digits}f}"
    if float(text) == 0:
        return text[1:]
    return text.replace("-", "−")


def shown(name: str) -> str:
    """A token's name as a person reads it: the space that begins a word is left out, other blanks are marked.

    >>> shown(" king"), shown("king"), shown("\\n"), shown("  ")
    ('king', '·king', '⏎', '␣␣')
    """
    if name.startswith(" ") and name[1:].isalpha():
        return name[1:]
    marked = name.translate({0x20: "␣", 0x0A: "⏎", 0x09: "⇥", 0x0D: "␍"})
    return f"·{marked}" if name[:1].isalpha() else marked


def percent(share: float) -> str:
    """A share as it is written: 1.4 %."""
    return tr("{n:.1f} %", n=100 * share)
