"""Lines of a file of other people, in bounded pieces: what text vectors and their names are read from.

Nothing is parsed here but line ends and UTF-8. A line that never ends is refused before it fills the memory.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from core.formats.files import BoundedReader, open_bounded
from core.problems import LabError

LONGEST_LINE = 2 << 20  # bytes: 100,000 numbers, more than any known model's width
BLOCK = 128 << 10  # bytes between two events: 20,000 numbers, some 3 ms
_BOM = b"\xef\xbb\xbf"


def blocks_of_lines(file: BoundedReader, block: int = BLOCK) -> Iterator[list[bytes]]:
    """The lines of a file without their ends (\\n or \\r\\n), some at a time; no line is empty at the end.

    Raises:
        LabError: A line is longer than `LONGEST_LINE`, or holds a zero byte: this is no text.
    """
    rest, number, first = b"", 0, True
    while file.remaining:
        begin = file.position
        data = file.read(min(block, file.remaining))
        if 0 in data:
            raise LabError(
                f"{file.name}, byte {begin + data.index(0):,}: a zero byte, which no text holds.",
                "Choose a text file or a .npy file: this is something else, or UTF-16.",
            )
        if first:
            data, first = data.removeprefix(_BOM), False
        *lines, rest = (rest + data).split(b"\n")
        if len(rest) > LONGEST_LINE:
            raise LabError(
                f"{file.name}, line {number + len(lines) + 1:,}: it has more than {LONGEST_LINE:,} bytes.",
                "Each vector is a line of its own: check that the file is what its name says.",
            )
        number += len(lines)
        yield [line[:-1] if line.endswith(b"\r") else line for line in lines]
    if rest:
        yield [rest.removesuffix(b"\r")]


def count_lines(path: Path) -> Iterator[int]:
    """How many lines a file has: a running count, the last one whole; a line without an end counts."""
    count, last = 0, b"\n"
    with open_bounded(path) as file:
        while file.remaining:
            data = file.read(min(4 << 20, file.remaining))
            count, last = count + data.count(b"\n"), data[-1:]
            yield count
    yield count + (last != b"\n")
