"""Watching that nothing calls out: Python tells of every connection before it is made.

`sys.addaudithook` hears of what Python code does (PEP 578), in any library. What a library does in C alone,
such as the driver of a database, it does not hear. Hooks stay for good: there is one, told when to listen.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_OF_SOCKETS = ("socket.connect", "socket.sendto", "socket.bind")  # their first argument is the socket
_CALLS = (*_OF_SOCKETS, "socket.getaddrinfo", "socket.gethostbyname")
_LISTENING: list[list[str]] = []
_HOOKED: list[bool] = []


class RefusedError(OSError):
    """A connection that nobody asked for was not made."""


def _hear(event: str, arguments: tuple[Any, ...]) -> None:
    if _LISTENING and event in _CALLS:
        told = arguments[1:] if event in _OF_SOCKETS else arguments
        called = f"{event.removeprefix('socket.')} {', '.join(map(str, told))}"[:200]
        _LISTENING[-1].append(called)
        raise RefusedError(f"LLM Lab opens no connections: {called}")


@contextmanager
def watch_sockets() -> Iterator[list[str]]:
    """Refuse every call that would leave the process, from any thread, and list what was called."""
    if not _HOOKED:
        sys.addaudithook(_hear)
        _HOOKED.append(True)
    calls: list[str] = []
    _LISTENING.append(calls)
    try:
        yield calls
    finally:
        _LISTENING.remove(calls)
