"""A process that kills itself before the n-th call that changes the disk; for the programs that tests start."""

from __future__ import annotations

import os
import signal
from typing import Any

CHANGING = ("mkdir", "open", "write", "fsync", "replace", "rename", "rmdir")


class KillingOs:
    """The module `os`, whose caller is killed before the `left`-th call that changes the disk; 0 never kills."""

    def __init__(self, left: int) -> None:
        self.left = left

    def __getattr__(self, name: str) -> Any:
        real = getattr(os, name)
        if name not in CHANGING:
            return real

        def call(*args: Any, **named: Any) -> Any:
            self.left -= 1
            if self.left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return real(*args, **named)

        return call
