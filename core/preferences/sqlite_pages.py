"""Rows read straight off the pages of an SQLite file, however damaged: nothing in the file is run or
believed.

Every page that says it is a leaf of a table (type 13) is read cell by cell, in the database and in the
frames of its write-ahead log; chains of overflow pages are followed within bounds. Which table a row
belongs to is for the caller to tell by its shape. The format is described at sqlite.org/fileformat2.html,
sections 1.5, 1.6, 2.1 and 4.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from pathlib import Path

Value = int | float | str | bytes | None

PAGES_AT_MOST = 1 << 20
PAYLOAD_AT_MOST = 64 << 20  # bytes of one row
_LEAF = 13
_WAL_HEADER, _FRAME_HEADER = 32, 24
_INTEGERS = {1: 1, 2: 2, 3: 3, 4: 4, 5: 6, 6: 8}  # serial type to bytes


def rows_in(path: Path) -> Iterator[tuple[int, list[Value]]]:
    """The rowid and values of every row of every table leaf that can be read, the newest version first.

    A row may be given more than once: from an older version of its page.

    Raises:
        OSError: The file cannot be read at all.
    """
    data = path.read_bytes()
    size = _page_size(data)
    pages = {number: data[at : at + size] for number, at in enumerate(range(0, len(data), size), 1)}
    wal = path.with_name(path.name + "-wal")
    frames = list(_frames(wal.read_bytes() if wal.is_file() else b"", size))
    newest = dict(pages)
    newest.update(frames)  # of several frames of a page, the last one stays
    for page in newest.values():
        yield from _leaf(page, newest, size)
    for number, page in frames:
        if newest[number] is not page:
            yield from _leaf(page, newest, size)
    for number, page in pages.items():
        if newest[number] is not page:
            yield from _leaf(page, pages, size)


def _page_size(data: bytes) -> int:
    """The page size from the header, or the one by which most pages look like pages."""
    size = int.from_bytes(data[16:18], "big") if data.startswith(b"SQLite format 3\0") else 0
    if size == 1:
        size = 65536
    if 512 <= size <= 65536 and size & (size - 1) == 0:
        return size
    sizes = [1 << power for power in range(9, 17)]
    return max(
        sizes, key=lambda one: (sum(data[at] == _LEAF for at in range(one, len(data), one)), one == 4096)
    )


def _frames(wal: bytes, size: int) -> Iterator[tuple[int, bytes]]:
    for at in range(_WAL_HEADER, len(wal) - _FRAME_HEADER - size + 1, _FRAME_HEADER + size):
        number = int.from_bytes(wal[at : at + 4], "big")
        if 0 < number <= PAGES_AT_MOST:
            yield number, wal[at + _FRAME_HEADER : at + _FRAME_HEADER + size]


def _leaf(page: bytes, pages: Mapping[int, bytes], size: int) -> Iterator[tuple[int, list[Value]]]:
    start = 100 if page.startswith(b"SQLite format 3\0") else 0
    if len(page) < start + 8 or page[start] != _LEAF:
        return
    cells = int.from_bytes(page[start + 3 : start + 5], "big")
    for number in range(min(cells, (size - start - 8) // 2)):
        at = start + 8 + 2 * number
        place = int.from_bytes(page[at : at + 2], "big")
        row = _cell(page, place, pages, size)
        if row is not None:
            yield row


def _cell(page: bytes, at: int, pages: Mapping[int, bytes], size: int) -> tuple[int, list[Value]] | None:
    try:
        length, at = _varint(page, at)
        rowid, at = _varint(page, at)
        if not 0 < length <= PAYLOAD_AT_MOST:
            return None
        payload = _payload(page, at, length, pages, size)
        values = _record(payload) if payload is not None else None
    except (IndexError, struct.error, UnicodeDecodeError):
        return None
    return (rowid, values) if values is not None else None


def _payload(page: bytes, at: int, length: int, pages: Mapping[int, bytes], size: int) -> bytes | None:
    """A row's bytes, with those of its overflow pages (section 1.6: U = size, as no space is reserved)."""
    most, least = size - 35, (size - 12) * 32 // 255 - 23
    if length <= most:
        return page[at : at + length] if at + length <= len(page) else None
    local = least + (length - least) % (size - 4)
    local = local if local <= most else least
    parts, left = [page[at : at + local]], length - local
    following = int.from_bytes(page[at + local : at + local + 4], "big")
    while left > 0:
        more = pages.get(following)
        if more is None or len(parts) > length // (size - 4) + 2:
            return None
        parts.append(more[4 : 4 + min(left, size - 4)])
        left -= size - 4
        following = int.from_bytes(more[:4], "big")
    whole = b"".join(parts)
    return whole if len(whole) == length else None


def _record(payload: bytes) -> list[Value] | None:
    end, at = _varint(payload, 0)
    if not 0 < end <= min(len(payload), 1000):
        return None
    types = []
    while at < end:
        kind, at = _varint(payload, at)
        types.append(kind)
    values: list[Value] = []
    at = end
    for kind in types:
        value, count = _value(payload, at, kind)
        if at + count > len(payload):
            return None
        values.append(value)
        at += count
    return values


def _value(payload: bytes, at: int, kind: int) -> tuple[Value, int]:
    if kind in _INTEGERS:
        count = _INTEGERS[kind]
        return int.from_bytes(payload[at : at + count], "big", signed=True), count
    match kind:
        case 0:
            return None, 0
        case 7:
            return struct.unpack_from(">d", payload, at)[0], 8
        case 8 | 9:
            return kind - 8, 0
        case 10 | 11:
            raise IndexError(kind)
    count = (kind - 12) // 2
    raw = payload[at : at + count]
    return (raw.decode("utf-8") if kind % 2 else raw), count


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """A number of one to nine bytes, and the place after it.

    >>> _varint(bytes([0x81, 0x00]), 0)
    (128, 2)
    """
    value = 0
    for count in range(9):
        byte = data[at + count]
        if count == 8:
            return value << 8 | byte, at + 9
        value = value << 7 | byte & 0x7F
        if not byte & 0x80:
            return value, at + count + 1
    raise IndexError(at)
