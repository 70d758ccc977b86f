"""Sums of one and two digits, answered at once and step by step.

Step by step, every token can be found by looking at two digits and a carry; at once, all of that must happen
before the first digit of the answer. Held-out sums (`held_out_sum`) occur in neither form.
"""

from __future__ import annotations

from core.corpus.smallworld.draw import Draw
from core.corpus.smallworld.world import NAMES, held_out_sum

AT_ONCE = "At once: {a} + {b} ="
STEP_BY_STEP = "Step by step: {a} + {b}."


def worked(a: int, b: int) -> str:
    """The steps of a sum of two-digit numbers, and its answer.

    >>> worked(47, 38)
    '7 + 8 = 15, write 5, carry 1. 4 + 3 + 1 = 8. The answer is 85.'
    """
    ones = a % 10 + b % 10
    carry = ones // 10
    tens = a // 10 + b // 10 + carry
    return (
        f"{a % 10} + {b % 10} = {ones}, write {ones % 10}, carry {carry}. "
        f"{a // 10} + {b // 10} + {carry} = {tens}. The answer is {a + b}."
    )


def operands(draw: Draw) -> tuple[int, int]:
    """Two two-digit numbers whose sum is not held out."""
    while True:
        before = draw.nats
        a, b = draw.number(10, 99), draw.number(10, 99)
        if not held_out_sum(a, b):
            return a, b
        draw.nats = before  # a second try adds nothing: what is left is a choice among fewer


def at_once(draw: Draw) -> str:
    """A few sums with their answers at once."""
    lines = []
    for _ in range(draw.number(1, 3)):
        a, b = operands(draw)
        lines.append(f"{AT_ONCE.format(a=a, b=b)} {a + b}.")
    return " ".join(lines)


def step_by_step(draw: Draw) -> str:
    """A few sums, each worked out."""
    lines = []
    for _ in range(draw.number(1, 3)):
        a, b = operands(draw)
        lines.append(f"{STEP_BY_STEP.format(a=a, b=b)} {worked(a, b)}")
    return ("\n" if draw.chance(0.2) else " ").join(lines)


def digits(draw: Draw) -> str:
    """Sums of one digit, and the sums of digits that the steps consist of."""
    parts = []
    for _ in range(draw.number(3, 7)):
        a, b, carry = draw.number(0, 9), draw.number(0, 9), draw.number(0, 1)
        if draw.chance(0.4):
            parts.append(f"{a} + {b} = {a + b}.")
        elif draw.chance(0.5):
            parts.append(f"{a} + {b} = {a + b}, write {(a + b) % 10}, carry {(a + b) // 10}.")
        else:
            parts.append(f"{a} + {b} + {carry} = {a + b + carry}.")
    return " ".join(parts)


def told(draw: Draw) -> str:
    """A sum inside a little story, worked out."""
    a, b = operands(draw)
    name = draw.one(NAMES)
    what = draw.one(("apples", "nuts", "stones", "coins", "cards", "books"))
    told = draw.one(
        (
            f"{name} had {a} {what} and got {b} more.",
            f"There were {a} {what} in a box. {name} put {b} more into it.",
            f"{name} found {a} {what} on Monday and {b} on Sunday.",
        )
    )
    return f"{told} {STEP_BY_STEP.format(a=a, b=b)} {worked(a, b)} So there were {a + b} {what}."
