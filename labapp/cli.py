"""The command line: `llmlab` alone opens the window; the same stages run headless.

Exit status 0 on success, 1 with `error: … / try: …` on a LabError, 2 on wrong usage. With `--json` there is
one JSON object per line and event, the last one the result. typer is imported only when it is needed.
"""

from __future__ import annotations

import sys
from pathlib import Path

from core.problems import LabError

COMMANDS = (
    "open", "tokenizer", "artifacts", "doctor", "screenshots", "evals", "generate", "trace", "corpus",
    "train", "finetune",
    "quantize", "compare", "importance",
    "embeddings", "preferences",
)  # fmt: skip


def main(arguments: list[str] | None = None) -> int:
    """Run a command line and give its exit status."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        if not words:
            return _open([])
        if words[0] not in COMMANDS and not words[0].startswith("-") and Path(words[0]).exists():
            words = ["open", *words]  # a file as the first word means open
        from labapp.commands import run

        return run(words)
    except LabError as error:
        print(f"error: {error.problem}\n  try: {error.remedy}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def _open(files: list[Path]) -> int:
    from labapp.app import open_window

    return open_window(files=files)
