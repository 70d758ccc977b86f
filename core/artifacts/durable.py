"""Writing that survives a crash: new name, write, fsync, rename, fsync of the folder.

The recipe is that of reference/reliability.md, section 3. Every call that changes the disk goes through this
module's `os`, so that a test can make the n-th of them fail. What is left out: manifests (`manifest.py`) and
locks (`locks.py`).

A disk that lies about flushes, as some USB sticks do, can still lose the last write: no program mends that.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import secrets
import shutil
import time
from collections.abc import Callable, Generator
from pathlib import Path
from typing import TypeVar

from core.problems import LabError

ON_WINDOWS = os.name == "nt"
BLOCK = 1 << 20  # bytes hashed at a time: small enough to stop between two of them
PATIENCE = 2.0  # seconds for which a virus scanner or a reader may hold a file on Windows
PART = ".part"  # end of the names of files that are still being written

Answer = TypeVar("Answer")


def write_file(path: Path, data: bytes) -> None:
    """Write a file so that a crash leaves the old one or the new one, never a half.

    Raises:
        LabError: The disk is full, broken or not writable; the old file is untouched.
    """
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}{PART}")
    try:
        try:
            _write_and_sync(part, data)
            patiently(lambda: os.replace(part, path))
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(part)
            raise
        sync_folder(path.parent)
    except OSError as error:
        raise explain(error, path) from error


def _write_and_sync(path: Path, data: bytes) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)
    handle = os.open(path, flags, 0o666)
    try:
        rest = memoryview(data)
        while rest:
            written = os.write(handle, rest)
            if written <= 0:
                raise OSError(errno.EIO, os.strerror(errno.EIO), str(path))
            rest = rest[written:]  # a short write is legal: go on where it ended
        os.fsync(handle)
    finally:
        os.close(handle)


def sync_file(path: Path) -> None:
    """Push a file that something else wrote to the disk.

    Raises:
        OSError: The disk refused.
    """
    # Windows flushes only through a handle that may write.
    handle = os.open(path, (os.O_RDWR if ON_WINDOWS else os.O_RDONLY) | getattr(os, "O_CLOEXEC", 0))
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sync_folder(path: Path) -> None:
    """Push a folder's list of names to the disk; Windows has no such call and needs none.

    Raises:
        OSError: The disk refused.
    """
    if ON_WINDOWS:
        return
    handle = os.open(path, os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_CLOEXEC", 0))
    try:
        os.fsync(handle)
    except OSError as error:
        # WORKAROUND: some network and FUSE file systems cannot sync a folder (EINVAL); retire it with them.
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise
    finally:
        os.close(handle)


def ensure_folder(path: Path) -> None:
    """Make a folder and those above it, durably; nothing happens where it exists.

    Raises:
        LabError: It cannot be made, or a file of that name is in the way.
    """
    missing = []
    while not path.is_dir():
        missing.append(path)
        if path.parent == path:
            break
        path = path.parent
    for folder in reversed(missing):
        try:
            with contextlib.suppress(FileExistsError):  # another window made it just now
                os.mkdir(folder)
            if not folder.is_dir():
                raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(folder))
            sync_folder(folder.parent)
        except OSError as error:
            raise explain(error, folder) from error


def move_folder(source: Path, target: Path) -> None:
    """Rename a folder within one file system; afterwards it is at exactly one of the two places.

    Where the new name cannot be made durable, the move is undone.

    Raises:
        LabError: The target exists and is not empty, or the disk refused.
    """
    ensure_folder(target.parent)
    try:
        if ON_WINDOWS and target.is_dir() and not any(target.iterdir()):
            os.rmdir(target)  # POSIX renames over an empty folder, Windows does not
        patiently(lambda: os.rename(source, target))
        try:
            sync_folder(target.parent)
            sync_folder(source.parent)
        except OSError:
            os.rename(target, source)
            raise
    except OSError as error:
        raise explain(error, target) from error


def remove_folder(path: Path) -> None:
    """Remove a folder of this app that nobody needs; what cannot be removed stays for the next sweep."""
    shutil.rmtree(path, ignore_errors=True)


def hashing(path: Path) -> Generator[int, None, str]:
    """Hash a file block by block; yields the bytes of each block and returns the sha256 as hex digits.

    Raises:
        OSError: The file is missing or unreadable.
    """
    digest = hashlib.sha256()
    with open(path, "rb", buffering=0) as file:
        while block := file.read(BLOCK):
            digest.update(block)
            yield len(block)
    return digest.hexdigest()


def free_bytes(folder: Path) -> int:
    """Bytes that are free where `folder` lies, or will lie."""
    while not folder.exists() and folder.parent != folder:
        folder = folder.parent
    return shutil.disk_usage(folder).free


def check_space(folder: Path, size: int) -> None:
    """Refuse to start what will not fit: twice `size` bytes must be free (the new beside the old).

    Raises:
        LabError: Too little is free, with both figures.
    """
    free = free_bytes(folder)
    if free < 2 * size:
        raise LabError(
            f"{folder} has {in_words(free)} free; this needs {in_words(2 * size)} "
            f"(twice the {in_words(size)} that are written).",
            f"Free {in_words(2 * size - free)} there, or choose a folder on another disk.",
        )


def in_words(size: int) -> str:
    """A number of bytes as a person reads it.

    >>> in_words(999), in_words(1_500), in_words(98_000_000)
    ('999 bytes', '1.5 kB', '98.0 MB')
    """
    if size < 1000:
        return f"{size} bytes"
    value = float(size)
    for unit in ("kB", "MB", "GB"):
        value /= 1000
        if value < 999.95:
            return f"{value:.1f} {unit}"
    return f"{value / 1000:.1f} TB"


def patiently(action: Callable[[], Answer], clock: Callable[[], float] = time.monotonic) -> Answer:
    """Do `action`; on Windows try again for a while when a scanner or a reader holds the file.

    Raises:
        OSError: It failed for another reason, or still failed at the end.
    """
    until = clock() + PATIENCE
    while True:
        try:
            return action()
        except PermissionError:
            if not ON_WINDOWS or clock() >= until:
                raise
        time.sleep(0.02)


def shown(text: object) -> str:
    r"""A path or a name as a message may show it, with what does not print or turns the direction escaped.

    >>> shown("a\nb\u202ec")
    'a\\nb\\u202ec'
    """
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in str(text))


def explain(error: OSError, path: Path) -> LabError:
    """What an error of the disk means for the person at the screen."""
    where = shown(path)
    kept = "What was saved before is untouched."
    code = error.errno
    if code in (errno.ENOSPC, errno.EDQUOT):
        try:
            left = f" ({in_words(free_bytes(path))} are left)"
        except OSError:
            left = ""
        return LabError(
            f"The disk is full, or your share of it{left}: {where} could not be written.",
            f"Free some space and try again. {kept}",
        )
    if code == errno.EROFS:
        return LabError(
            f"The disk that holds {where} is read-only.", f"Choose a folder that you may write to. {kept}"
        )
    if isinstance(error, PermissionError):
        return LabError(
            f"There is no permission to write {where}, or another program holds it.",
            f"Close programs that use it, or choose a folder that you may write to. {kept}",
        )
    if code == errno.EIO:
        return LabError(
            f"The disk reported an error at {where}.",
            f"Try again; if it comes back, choose another disk and check this one. {kept}",
        )
    if code in (errno.ENOTEMPTY, errno.EEXIST):
        return LabError(
            f"{where} exists already and is not empty.", "Choose another name; nothing is overwritten."
        )
    if isinstance(error, NotADirectoryError):
        return LabError(f"{where} is a file where a folder is needed.", "Choose another folder.")
    if isinstance(error, FileNotFoundError):
        return LabError(
            f"{where} is gone.", "Refresh the list; it may have been moved or its disk taken out."
        )
    return LabError(
        f"{where} could not be written: {error.strerror or error}.", f"Try another folder. {kept}"
    )
