"""`llmlab doctor --run`: each lab's work is done and held against its figure; nothing calls out meanwhile."""

from __future__ import annotations

import _socket  # what pytest-socket leaves as it is
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pytestqt.qtbot import QtBot

from core.problems import LabError
from core.stages import Finished, Progress
from labapp import trials
from labapp.trials import Figure, Tried, try_labs
from labapp.widgets.doctor_sheet import SLOT, DoctorSheet
from tests.labapp.opened import PATIENCE, opened


def tried(which: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> dict[str, Tried]:
    monkeypatch.setattr(trials, "TRIALS", which)
    done = [event for event in try_labs() if isinstance(event, Tried)]
    return dict(zip([*which, "connections"], done, strict=True))


def test_every_lab_does_its_work(long: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    slow = () if long else ("finetuning", "training")  # their stages have tests of their own
    which = {name: trial for name, trial in trials.TRIALS.items() if name not in slow}
    for name, one in tried(which, monkeypatch).items():
        assert one.state == "ok" or (one.state == "note" and "SmolLM2" in one.found), f"{name}: {one.line()}"


def test_a_trial_that_fails_is_told_and_the_others_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(folder: Path) -> Iterator[Progress | Finished[Figure]]:
        yield Progress("Breaking", 0, 1, "parts")
        raise ZeroDivisionError("three")

    def missing(folder: Path) -> Iterator[Progress | Finished[Figure]]:
        raise LabError("SmolLM2 is not installed.", "Run python3 run.py setup.")

    def wrong(folder: Path) -> Iterator[Progress | Finished[Figure]]:
        yield Finished("", Figure(0.2, "0.2"))

    found = tried(
        {"merges": ("A", "a", broken), "answer": ("B", "b", missing), "attention": ("C", "c", wrong)},
        monkeypatch,
    )
    assert [one.state for one in found.values()] == ["failed", "note", "failed", "ok"]
    assert "ZeroDivisionError: three" in found["merges"].line()
    assert found["answer"].remedy == "Run python3 run.py setup."
    assert "0.804 ± 0.01" in found["attention"].remedy


def test_a_call_to_the_network_is_refused_and_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def calling(folder: Path) -> Iterator[Progress | Finished[Figure]]:
        _socket.getaddrinfo("example.invalid", 80)
        yield Finished("", Figure(True, ""))

    found = tried({"ranking": ("A", "a", calling)}, monkeypatch)
    assert found["ranking"].state == "failed"
    assert found["connections"].state == "failed"
    assert "example.invalid" in found["connections"].found


def test_the_sheet_shows_each_trial_and_closing_it_stops_them(
    qtbot: QtBot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trials, "TRIALS", {name: trials.TRIALS[name] for name in ("merges", "quantizing")})
    with opened(qtbot, tmp_path) as window:
        window.show_doctor()
        sheet = window.findChild(DoctorSheet)
        assert sheet is not None
        looked_at = len(sheet.checks)
        sheet.try_button.click()
        assert not sheet.try_button.isEnabled()
        qtbot.waitUntil(sheet.try_button.isEnabled, timeout=PATIENCE)
        assert sheet.told.text() == "0 of 3 trials failed."
        assert sheet.table.rows.rowCount() == looked_at + 3
        sheet.try_button.click()
        sheet.close()
        qtbot.waitUntil(lambda: window.runner.job(SLOT) is None, timeout=PATIENCE)
