"""Ranking in the window on a real PostgreSQL server that goes away in mid-work and comes back."""

from __future__ import annotations

from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from pytestqt.qtbot import QtBot

from core.preferences.results import read_results
from core.preferences.store import create_store, open_store
from tests.core.preferences.servers import Server, why_not
from tests.labapp.opened import PATIENCE
from tests.labapp.preferences_pages import a_task, press, ranking

pytestmark = pytest.mark.skipif(bool(why_not()), reason=why_not() or "there is a server")


def test_an_answer_is_kept_while_the_server_is_away_and_counts_once(qtbot: QtBot, tmp_path: Path) -> None:
    server = Server()
    try:
        url = server.url()
        create_store(url, a_task(4)).close()
        with ranking(qtbot, tmp_path, name="") as page:
            page.open(url)
            qtbot.waitUntil(lambda: page.desk.opened.key == url, timeout=PATIENCE)
            page.consent.name.setText("Ada")
            page.consent.go.click()
            press(page, 4, 3, 2, 1, Qt.Key.Key_Return)
            press(page, 4, 3, 2)
            server._run("pg_ctl", "-D", str(server.data), "-m", "immediate", "-w", "stop")
            press(page, 1)
            assert page.lab.frame.messages.text or page.work.saved.text()
            press(page, Qt.Key.Key_Return)
            assert page.desk.in_outbox
            assert "Kept on this computer" in page.work.said.text()
            assert page.stack.currentIndex() == 2
            server.start()
            press(page, Qt.Key.Key_Return)  # the same click's id: it counts once
            press(page, 4, 3, 2, 1, Qt.Key.Key_Return)
            assert not page.desk.in_outbox
        with open_store(url) as store:
            rankings = read_results(store).rankings
            assert len(rankings) == 3
            assert len({one.item_id for one in rankings}) == 3
        state = (tmp_path / "window.json").read_text()
        assert "password" not in state
    finally:
        server.stop()
