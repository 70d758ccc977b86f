"""Pictures of every page of every lab, light and dark, at the sizes asked for."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from PySide6.QtCore import QEventLoop
from PySide6.QtWidgets import QApplication

from core.artifacts import Workspace
from core.problems import LabError
from labapp.app import make_application
from labapp.labs import CATALOGUE
from labapp.runner import Runner
from labapp.window import Window

PATIENCE = 60.0  # s that a pose may take


def take_screenshots(out: Path, sizes: Sequence[str], themes: Sequence[str]) -> list[Path]:
    """Write one PNG per lab, pose, size and theme into a folder; those that are there are replaced.

    Raises:
        LabError: A size or a theme is unknown, or the folder cannot be written.
    """
    wanted = [_size(text) for text in sizes]
    for theme in themes:
        if theme not in ("light", "dark"):
            raise LabError(f"There is no theme {theme!r}.", "The themes are light and dark.")
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise LabError(f"{out} cannot be made: {error.strerror}.", "Choose another folder.") from None
    app = QApplication.instance() or make_application()
    written: list[Path] = []
    with tempfile.TemporaryDirectory() as folder:
        runner = Runner()
        window = Window(Workspace(Path(folder)), runner, remember=False)
        window.show()
        for entry in CATALOGUE:
            lab = window.show_lab(entry.name)
            if lab is None:
                continue
            for name, pose, ready in lab.poses():
                pose()
                for width, height in wanted:
                    window.resize(width, height)
                    for theme in themes:
                        window.set_theme(theme)
                        _settle(runner, ready)
                        window.job_strip.refresh()  # it follows the jobs a quarter of a second later
                        path = out / f"{entry.name}-{name}-{width}x{height}-{theme}.png"
                        window.grab().save(str(path))
                        written.append(path)
        window.close()
        runner.close()
    del app
    return written


def _size(text: str) -> tuple[int, int]:
    width, _, height = text.partition("x")
    if not (
        width.isdigit() and height.isdigit() and 200 <= int(width) <= 8000 and 200 <= int(height) <= 8000
    ):
        raise LabError(f"{text!r} is no size.", "Give width and height in pixels, such as 1280x800.")
    return int(width), int(height)


def _settle(runner: Runner, ready: Callable[[], bool]) -> None:
    """Let the window work until a pose is ready and it has been painted."""
    end = time.monotonic() + PATIENCE
    calm = 0
    while calm < 3 and time.monotonic() < end:
        QApplication.processEvents(QEventLoop.ProcessEventsFlag.AllEvents, 50)
        time.sleep(0.02)
        calm = calm + 1 if ready() else 0
