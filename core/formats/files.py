"""Files of other people, read within bounds; files of our own, written whole or not at all.

Reading: regular files only, never mapped (a file that shrinks while mapped kills the process), never more
than was asked for, and every short read is a LabError that names the file and the byte. Writing: a new name,
fsync, then a rename, so that a crash leaves the old file or the new one. This file knows no format.
"""

from __future__ import annotations

import contextlib
import errno
import io
import os
import secrets
import stat
import struct
from array import array
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import overload

from core.problems import LabError

AT_ONCE = 64 << 20  # bytes that one read may ask for
_BLOCK = 1 << 20  # bytes read ahead while strings are collected
_DAMAGED = "The file is cut short or damaged: get it again."

_U8, _U16, _U32, _U64 = (struct.Struct(code) for code in ("<B", "<H", "<I", "<Q"))
_I32, _I64, _F32, _F64 = (struct.Struct(code) for code in ("<i", "<q", "<f", "<d"))


def quoted(value: str | bytes | os.PathLike[str], at_most: int = 80) -> str:
    r"""A value of a foreign file in quotation marks, fit to be shown: cut, and with nothing that acts.

    Control characters, directions, lone surrogates and bytes that are no UTF-8 become escapes.

    >>> quoted("a\x1b[2J\u202eb")
    '"a\\x1b[2J\\u202eb"'
    >>> quoted(b"caf\xe9", 3), quoted("abcdef", 3)
    ('"caf…"', '"abc…"')
    """
    if isinstance(value, bytes):
        text = value[: 4 * at_most + 4].decode("utf-8", "backslashreplace")
    else:
        text = os.fspath(value)
    cut = text[:at_most]
    shown = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in cut)
    return f'"{shown}{"…" if len(text) > at_most else ""}"'


def shown(path: str | os.PathLike[str]) -> str:
    r"""The name of a file as a message shows it: the last part, escaped, without quotation marks.

    >>> shown("/tmp/a\nb.json")
    'a\\nb.json'
    """
    text = os.fspath(path)
    return quoted(Path(text).name or text, 120)[1:-1]


class StringArray(Sequence[bytes]):
    """Many byte strings in one block: what a list of `bytes` would hold, at the size it has in the file.

    Attributes:
        start: Byte offset in the file of the first string's length.
    """

    def __init__(self, block: bytes, starts: array[int], start: int) -> None:
        self._block = block
        self._starts = starts  # of each string in the block, and one more: where a next one would begin
        self.start = start

    def __len__(self) -> int:
        return len(self._starts) - 1

    @overload
    def __getitem__(self, index: int) -> bytes: ...
    @overload
    def __getitem__(self, index: slice) -> list[bytes]: ...
    def __getitem__(self, index: int | slice) -> bytes | list[bytes]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        index = range(len(self))[index]
        return self._block[self._starts[index] : self._starts[index + 1] - 8]

    def __iter__(self) -> Iterator[bytes]:
        block, begin = self._block, 8
        for after in self._starts[1:]:
            yield block[begin : after - 8]
            begin = after

    def place(self, index: int) -> int:
        """Byte offset in the file at which the string `index` begins (behind its length)."""
        return self.start + self._starts[index]


class BoundedReader:
    """A file that is read forwards, little-endian, and never beyond its end. Made by `open_bounded`.

    Attributes:
        path: The file.
        name: Its last part, as messages show it.
        size: Its bytes at the time of opening.
    """

    def __init__(self, path: Path, file: io.BufferedReader[io.FileIO], size: int) -> None:
        self.path = path
        self.name = shown(path)
        self.size = size
        self._file = file
        self._position = 0

    def __enter__(self) -> BoundedReader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; a second time does nothing."""
        self._file.close()

    @property
    def position(self) -> int:
        """Byte offset of the next read."""
        return self._position

    @property
    def remaining(self) -> int:
        """Bytes from here to the end."""
        return self.size - self._position

    def read(self, count: int, at_most: int = AT_ONCE) -> bytes:
        """Exactly `count` bytes.

        Raises:
            LabError: The file ends before, `count` is above `at_most` bytes, or the disk failed.
        """
        self.expect(count)
        if count > at_most:
            raise LabError(
                f"{self.name}, byte {self._position:,}: {count:,} bytes in one piece are above the limit of "
                f"{at_most:,}.",
                "No known model needs that: the file is damaged or made to harm.",
            )
        data = self._raw(count)
        if len(data) < count:  # it was longer when it was opened
            self._cut(count, self._position + len(data))
        self._position += count
        return data

    def move_to(self, position: int) -> None:
        """Go on reading at another byte.

        Raises:
            LabError: The file ends before it.
        """
        if not 0 <= position <= self.size:
            self._cut(position - self.size, self.size)
        self._file.seek(position)
        self._position = position

    def read_into(self, buffer: memoryview) -> None:
        """Fill a buffer of bytes.

        Raises:
            LabError: The file ends before it is full, or the disk failed.
        """
        self.expect(len(buffer))
        try:
            got = self._file.readinto(buffer)
        except OSError as error:
            raise _problem(self.path, error, "read") from error
        if got < len(buffer):  # it was longer when it was opened
            self._cut(len(buffer), self._position + got)
        self._position += got

    def expect(self, count: int) -> None:
        """Check that `count` more bytes are there, before anything is made of that number.

        Raises:
            LabError: They are not.
        """
        if not 0 <= count <= self.remaining:
            self._cut(count, self.size)

    def u8(self) -> int:
        """A whole number of 1 byte; the next ones are alike."""
        return self._take(_U8)

    def u16(self) -> int:
        """A whole number of 2 bytes."""
        return self._take(_U16)

    def u32(self) -> int:
        """A whole number of 4 bytes."""
        return self._take(_U32)

    def i32(self) -> int:
        """A signed whole number of 4 bytes."""
        return self._take(_I32)

    def u64(self) -> int:
        """A whole number of 8 bytes."""
        return self._take(_U64)

    def i64(self) -> int:
        """A signed whole number of 8 bytes."""
        return self._take(_I64)

    def f32(self) -> float:
        """A number of 4 bytes."""
        return float(_F32.unpack(self.read(4))[0])

    def f64(self) -> float:
        """A number of 8 bytes."""
        return float(_F64.unpack(self.read(8))[0])

    def string(self, at_most: int = 1 << 20) -> bytes:
        """Bytes behind a length of 8 bytes; not decoded, since tokens may be no UTF-8.

        Raises:
            LabError: The length is above `at_most` or above what the file still holds.
        """
        place = self._position
        count = self.u64()
        self._check_length(count, place, self.remaining, at_most)
        return self.read(count)

    def strings(self, count: int, at_most: int, each_at_most: int = 1 << 20) -> StringArray:
        """`count` strings, each behind its length; together at most `at_most` bytes.

        Raises:
            LabError: The file ends before, or a length or the sum is above its limit.
        """
        self.expect(count * 8)
        start, left = self._position, min(self.remaining, at_most)
        block, starts, at, take = bytearray(), array("I"), 0, _U64.unpack_from
        append = starts.append
        for _ in range(count):
            if at + 8 > len(block):
                self._grow(block, at + 8, left, start)
            length = take(block, at)[0]
            at += 8
            append(at)
            if length > each_at_most or at + length > left:
                self._check_length(length, start + at - 8, self.size - start - at, each_at_most)
                self._too_much(start, at_most)
            at += length
        append(at + 8)
        self._grow(block, at, left, start)
        del block[at:]
        self._position = start + at
        self._file.seek(self._position)
        return StringArray(bytes(block), starts, start)

    def _grow(self, block: bytearray, needed: int, left: int, start: int) -> None:
        if needed > left:
            self._position = start + left
            self._too_much(start, left) if left < self.size - start else self._cut(needed - left, self.size)
        while len(block) < needed:
            self._position = start + len(block)
            block += self.read(min(max(_BLOCK, needed - len(block)), left - len(block)))

    def _too_much(self, start: int, at_most: int) -> None:
        raise LabError(
            f"{self.name}, byte {start:,}: the strings that begin here need more than {at_most:,} bytes.",
            "No known model needs that: the file is damaged or made to harm.",
        )

    def _check_length(self, length: int, place: int, remaining: int, at_most: int) -> None:
        if length > remaining:
            raise LabError(
                f"{self.name}, byte {place:,}: a string of {length:,} bytes is announced where {remaining:,} "
                "are left.",
                _DAMAGED,
            )
        if length > at_most:
            raise LabError(
                f"{self.name}, byte {place:,}: a string of {length:,} bytes is above the limit of "
                f"{at_most:,}.",
                "No known model needs that: the file is damaged or made to harm.",
            )

    def _take(self, form: struct.Struct) -> int:
        value: int = form.unpack(self.read(form.size))[0]
        return value

    def _raw(self, count: int) -> bytes:
        try:
            return self._file.read(count)
        except OSError as error:
            raise _problem(self.path, error, "read") from error

    def _cut(self, count: int, end: int) -> None:
        raise LabError(
            f"{self.name} ends at byte {end:,}: {count:,} more bytes were expected at byte "
            f"{self._position:,}.",
            _DAMAGED,
        )


def open_bounded(path: str | os.PathLike[str]) -> BoundedReader:
    """Open a regular file for bounded reading; use it with `with`.

    Raises:
        LabError: It is missing, unreadable, or no regular file (folder, pipe, device, circle of links).
    """
    # A pipe without a writer would block the open itself: hence the look before, and O_NONBLOCK against a
    # swap between the look and the open.
    flags = (
        os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
    )
    path = Path(path)
    try:
        _check_regular(path, os.stat(path).st_mode)
        handle = os.open(path, flags)
        file = io.BufferedReader(io.FileIO(handle, "rb"), 1 << 16)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        raise _problem(path, error, "opened") from error
    try:
        found = os.fstat(file.fileno())
        _check_regular(path, found.st_mode)
    except BaseException:
        file.close()
        raise
    return BoundedReader(path, file, found.st_size)


def read_bytes(path: str | os.PathLike[str], at_most: int) -> bytes:
    """The whole file, if it holds at most `at_most` bytes.

    Raises:
        LabError: As `open_bounded`; or the file is larger, or shrank while it was read.
    """
    with open_bounded(path) as file:
        if file.size > at_most:
            raise LabError(
                f"{file.name} holds {file.size:,} bytes; at most {at_most:,} are read.",
                "Choose a smaller file, or check that it is what its name says.",
            )
        return file.read(file.size, at_most)


def read_text(path: str | os.PathLike[str], at_most: int) -> str:
    """The whole file as text, if it holds at most `at_most` bytes of valid UTF-8.

    Raises:
        LabError: As `read_bytes`; or a byte is no UTF-8, named by its offset.
    """
    return decode_text(read_bytes(path, at_most), shown(path))


def decode_text(data: bytes, name: str) -> str:
    """Strict UTF-8.

    Raises:
        LabError: A byte is no UTF-8; `name` and its offset are named.
    """
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise LabError(
            f"{name}, byte {error.start:,}: 0x{data[error.start]:02x} is not valid UTF-8 here.",
            "Save the file as UTF-8 text, or check that it is what its name says.",
        ) from error


def write_new(path: str | os.PathLike[str], data: bytes | str, overwrite: bool = False) -> None:
    """Write a file whole or not at all: a new name, fsync, then a rename.

    Args:
        path: Where it shall be; its folder exists.
        data: Text is written as UTF-8, line ends unchanged.
        overwrite: Replace a file that is there.

    Raises:
        LabError: The file exists and `overwrite` is false, or it could not be written; nothing was changed.
    """
    path = Path(path)
    if isinstance(data, str):
        data = data.encode("utf-8")
    fresh = path.with_name(f".{secrets.token_hex(8)}.part")
    try:
        if not overwrite and os.path.lexists(path):
            raise FileExistsError(errno.EEXIST, "exists", os.fspath(path))
        _write_and_sync(fresh, data)
        _rename(fresh, path, overwrite)
        _sync_folder(path.parent)
    except (OSError, ValueError) as error:
        raise _problem(path, error, "written") from error
    finally:
        with contextlib.suppress(OSError, ValueError):
            os.unlink(fresh)


def _write_and_sync(path: Path, data: bytes) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
    with open(os.open(path, flags, 0o666), "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _rename(fresh: Path, path: Path, overwrite: bool) -> None:
    if overwrite:
        os.replace(fresh, path)
        return
    try:
        os.link(fresh, path)  # unlike a rename, it never replaces a file that appeared meanwhile
    except FileExistsError:
        raise
    except OSError:  # a stick with FAT knows no links
        if os.path.lexists(path):
            raise FileExistsError(errno.EEXIST, "exists", os.fspath(path)) from None
        os.rename(fresh, path)


def _sync_folder(folder: Path) -> None:
    if os.name == "posix":  # elsewhere a folder cannot be opened
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _check_regular(path: Path, mode: int) -> None:
    if stat.S_ISREG(mode):
        return
    kinds = {stat.S_IFDIR: "a folder", stat.S_IFIFO: "a pipe", stat.S_IFSOCK: "a socket"}
    kind = kinds.get(stat.S_IFMT(mode), "a device")
    raise LabError(f"{shown(path)} is {kind}, not a file.", "Choose a regular file.")


_CAUSES = {
    errno.ENOENT: ("does not exist", "Check the name and the folder."),
    errno.EACCES: ("may not be {done}: permission is missing", "Ask its owner, or choose another place."),
    errno.EPERM: ("may not be {done}: permission is missing", "Ask its owner, or choose another place."),
    errno.ELOOP: ("is a link that leads back to itself", "Choose the file itself."),
    errno.ENAMETOOLONG: ("has a name that is too long for this system", "Choose a shorter name or folder."),
    errno.EEXIST: ("exists already", "Choose another name, or agree to replace it."),
    errno.ENOSPC: ("could not be written: the disk is full", "Free some space and try again."),
    errno.EDQUOT: ("could not be written: the quota is used up", "Free some space and try again."),
    errno.EROFS: ("could not be written: the disk is read-only", "Choose another place."),
    errno.ENOTDIR: ("cannot be reached: a part of its path is not a folder", "Check the path."),
    errno.EISDIR: ("is a folder, not a file", "Choose a regular file."),
}


def _problem(path: Path, error: OSError | ValueError, done: str) -> LabError:
    """What went wrong in words; `done` is "opened", "read" or "written"."""
    number = error.errno if isinstance(error, OSError) else None
    cause, remedy = _CAUSES.get(number or 0, ("", ""))
    if not cause:
        reason = (
            isinstance(error, OSError) and error.strerror
        ) or "its name holds a character that no file has"
        cause, remedy = f"could not be {done}: {reason}", "Check the file and the disk it lies on."
    return LabError(f"{shown(path)} {cause.format(done=done)}.", remedy)
