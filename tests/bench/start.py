"""Cold start: from the process's start to the first lab showing its scene and taking a typed character.

`python run.py bench start [--json] [--repeats N]`. Each start is a process of its own, on a fresh workspace,
offscreen unless a display is set; the first one, which warms the disk cache, is not counted. The longest gap
of the event loop afterwards, while pyqtgraph and then torch are imported, is measured apart.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

CHILD = """
import sys, time
from pathlib import Path
from labapp.app import open_window

def when_there(window):
    from PySide6.QtCore import QTimer, Qt
    from PySide6.QtTest import QTest
    from tests.labapp.responsiveness import LoopGaps
    lab = window.lab
    def look():
        if lab.learn.history is None or not lab.learn.view.visible_tokens():
            QTimer.singleShot(0, look)
            return
        window.repaint()
        QTest.keyClick(lab.learn.own, Qt.Key.Key_X)
        if "x" not in lab.learn.own.toPlainText():
            raise SystemExit("the character did not arrive")
        print("ready", time.monotonic(), flush=True)
        gaps["plots"] = LoopGaps().__enter__()
        wait()
    gaps = {}
    def wait():
        if lab.learn.compression is None:
            QTimer.singleShot(10, wait)
            return
        finish("plots")
        from labapp.runner import warm_up
        gaps["torch"] = LoopGaps().__enter__()
        warm_up(window.runner, ["torch"], after=lambda outcome: (finish("torch"), window.close()))
    def finish(name):
        gaps[name].__exit__(None, None, None)
        print(name, gaps[name].result.longest, flush=True)
    look()

raise SystemExit(open_window(Path(sys.argv[1]), then=when_there))
"""


def one_start() -> dict[str, float]:
    """Start the app once; seconds to the typed character, and the longest gaps in ms."""
    with tempfile.TemporaryDirectory() as folder:
        environment = dict(os.environ)
        if not environment.get("DISPLAY") and not environment.get("WAYLAND_DISPLAY"):
            environment["QT_QPA_PLATFORM"] = "offscreen"
        started = time.monotonic()
        run = subprocess.run(
            [sys.executable, "-c", CHILD, folder],
            env=environment, capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
    words = [line.split() for line in run.stdout.splitlines()]
    found = {word[0]: float(word[1]) for word in words if len(word) == 2}
    if run.returncode or "ready" not in found:
        raise SystemExit(f"the app did not start:\n{run.stdout}{run.stderr}")
    return {
        "start_s": found["ready"] - started,
        "plots_gap_ms": found["plots"],
        "torch_gap_ms": found["torch"],
    }


def main() -> None:
    """Start several times and print the medians."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    one_start()
    runs = [one_start() for _ in range(options.repeats)]
    figures = {
        name: {
            "min": min(run[name] for run in runs),
            "median": statistics.median(run[name] for run in runs),
            "max": max(run[name] for run in runs),
        }
        for name in runs[0]
    }
    report = {"bench": "start", "repeats": options.repeats, "cores": os.cpu_count(), "figures": figures}
    if options.json:
        print(json.dumps(report))
        return
    print(f"cold start, {options.repeats} runs, {os.cpu_count()} cores")
    for name, spread in figures.items():
        print(f"  {name:<14} median {spread['median']:.3f}   ({spread['min']:.3f} to {spread['max']:.3f})")


if __name__ == "__main__":
    main()
