"""What the whole app takes with SmolLM2 loaded, a text read and one head shown; run by itself, in a fresh process.

`python -m tests.labapp.memory_of_app TOKENS` prints one JSON object: tokens, MB at rest, MB at most, seconds.
"""

from __future__ import annotations

import json
import resource
import sys
import tempfile
import time
from pathlib import Path

import psutil
from PySide6.QtCore import QEventLoop
from PySide6.QtWidgets import QApplication

from core.artifacts import Workspace
from labapp.app import make_application
from labapp.labs.attention import AttentionLab
from labapp.runner import Runner
from labapp.window import Window

PATIENCE = 900  # s


def measure(tokens: int) -> dict[str, float]:
    """Open the Attention lab on a text of so many tokens, and wait until all heads are there."""
    app = make_application()
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        runner = Runner()
        window = Window(Workspace(Path(folder)), runner, remember=False)
        window.show()
        lab = window.show_lab("attention")
        if not isinstance(lab, AttentionLab):
            raise TypeError(lab)
        lab.heads.prediction.close_question()
        text = "The cat sat on the mat because it was tired. " * (tokens // 10 + 1)
        wait(lambda: bool(lab.heads.tokens), runner)
        loaded = lab.heads.loaded
        if loaded is None or loaded.tokenizer is None:
            raise TypeError(loaded)
        ids = loaded.tokenizer.encode(text)[:tokens]
        lab.heads.text.setPlainText(loaded.tokenizer.decode_text(ids))
        lab.heads.read()
        wait(lambda: len(lab.heads.tokens) >= tokens - 2 and len(lab.heads.pattern.weights) > 0, runner)
        process = psutil.Process()
        rest = process.memory_info().rss
        read = len(lab.heads.tokens)
        window.close()
        runner.close()
    del app
    return {
        "tokens": read,
        "mb_at_rest": round(rest / 1e6),
        "mb_at_most": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6),
        "seconds": round(time.monotonic() - began, 1),
    }


def wait(until: object, runner: Runner) -> None:
    """Let the window work until nothing runs and `until()` holds."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        QApplication.processEvents(QEventLoop.ProcessEventsFlag.AllEvents, 50)
        time.sleep(0.01)
        if not runner.jobs and callable(until) and until():
            return
    raise TimeoutError


if __name__ == "__main__":
    print(json.dumps(measure(int(sys.argv[1]))))
