"""Work changes; one window writes it, a second one reads and learns who writes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import core
from core.artifacts import Workspace
from core.problems import LabError

ROOT = Path(core.__file__).resolve().parent.parent
HOLD = """
import sys
from pathlib import Path
from core.artifacts import Workspace
work = Workspace(Path(sys.argv[1])).open_work("training", sys.argv[2])
work.state["by"] = "the other window"
work.save()
print("held" if not work.read_only else "refused", flush=True)
sys.stdin.readline()
"""


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path / "workspace")


def test_work_is_saved_and_opened_again(workspace: Workspace) -> None:
    with workspace.new_work("training", "First run", {"step": 0}) as work:
        work.state["step"] = 7
        work.save("Renamed run")
        assert not work.read_only
    [info] = Workspace(workspace.root).works("training")
    assert (info.name, info.kind, info.id) == ("Renamed run", "training", work.id)
    assert info.created < info.saved
    with workspace.open_work("training", info.id) as again:
        assert (again.state, again.name, again.read_only) == ({"step": 7}, "Renamed run", False)
    assert workspace.works("preferences") == []
    assert workspace.problems() == []


def test_what_is_not_saved_is_not_kept(workspace: Workspace) -> None:
    with workspace.new_work("training", "Run", {"step": 0}) as work:
        work.state["step"] = 7
    assert workspace.open_work("training", work.id).state == {"step": 0}


def test_a_second_window_reads_and_learns_who_writes(workspace: Workspace) -> None:
    work = workspace.new_work("training", "Run", {"step": 0})
    second = Workspace(workspace.root).open_work("training", work.id)
    assert second.read_only
    assert second.holder is not None
    assert (second.holder.pid, second.holder.user) == (os.getpid(), work.holder.user if work.holder else None)
    with pytest.raises(LabError, match=f"process {os.getpid()}") as refused:
        second.save()
    assert "Close it there" in refused.value.remedy
    work.state["step"] = 3
    work.save()
    second.reload()
    assert second.state == {"step": 3}
    with pytest.raises(LabError, match="is open"):
        workspace.trash_work("training", work.id)
    work.close()
    work.close()
    with pytest.raises(LabError, match="is closed"):
        work.save()
    assert not workspace.open_work("training", work.id).read_only


def test_a_window_that_dies_lets_go_and_its_last_save_is_there(workspace: Workspace) -> None:
    with workspace.new_work("training", "Run", {"by": "this window"}) as work:
        pass
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", HOLD, str(workspace.root), work.id]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        mine = workspace.open_work("training", work.id)
        assert mine.read_only
        assert mine.holder is not None
        assert mine.holder.pid == other.pid
        other.kill()
        other.wait()
    with workspace.open_work("training", work.id) as mine:
        assert not mine.read_only
        assert mine.state == {"by": "the other window"}


def test_parts_of_a_dead_writer_are_cleared_by_the_next_holder(workspace: Workspace) -> None:
    with workspace.new_work("training", "Run") as work:
        pass
    (work.folder / ".work.json.0011aabb.part").write_text("half", encoding="utf-8")
    (work.folder / "mine.txt").write_text("stays", encoding="utf-8")
    workspace.open_work("training", work.id).close()
    assert sorted(path.name for path in work.folder.iterdir()) == ["mine.txt", "work.json"]


def test_the_trash_takes_work_and_gives_it_back(workspace: Workspace) -> None:
    with workspace.new_work("training", "Run", {"step": 5}) as work:
        pass
    workspace.trash_work("training", work.id)
    assert workspace.works() == []
    with pytest.raises(LabError, match="There is no work"):
        workspace.open_work("training", work.id)
    workspace.restore_work("training", work.id)
    assert workspace.open_work("training", work.id).state == {"step": 5}
    with pytest.raises(LabError, match="in the trash"):
        workspace.restore_work("training", work.id)


def test_the_lock_of_work_that_is_gone_is_swept(workspace: Workspace) -> None:
    with workspace.new_work("training", "Run") as work:
        pass
    workspace.trash_work("training", work.id)
    Workspace(workspace.root)
    assert list((workspace.root / "locks").iterdir()) == []


@pytest.mark.parametrize(
    ("kind", "id"), [("training", "../../x"), ("../training", "x"), ("training", "nothing")]
)
def test_work_that_does_not_exist_is_not_made_by_opening(workspace: Workspace, kind: str, id: str) -> None:
    with pytest.raises(LabError, match="There is no work"):
        workspace.open_work(kind, id)
    assert workspace.problems() == []
    assert list(workspace.root.iterdir()) == []


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"format": 2}, "reads up to 1"),
        ({"format": None}, "lacks a sound format"),
        ({"id": "20260101t000000000000-bbbbbb"}, "another place"),
        ({"name": 5}, "lacks a sound name"),
        ({"name": ""}, "is empty"),
        ({"created": "x"}, "isoformat"),
        ({"state": []}, "state"),
    ],
)
def test_damaged_work_is_a_problem_and_the_rest_stays_usable(
    workspace: Workspace, change: dict[str, object], fault: str
) -> None:
    with workspace.new_work("training", "Run") as work:
        pass
    path = work.folder / "work.json"
    path.write_text(json.dumps(json.loads(path.read_text(encoding="utf-8")) | change), encoding="utf-8")
    assert workspace.works() == []
    [problem] = workspace.problems()
    assert fault in problem.problem
    assert str(path) in problem.problem
    with pytest.raises(LabError):
        workspace.open_work("training", work.id)
    with workspace.new_work("training", "Another") as another:
        another.save()


def test_a_state_too_large_to_be_read_back_is_refused_and_the_old_one_stays(workspace: Workspace) -> None:
    with workspace.new_work("training", "Run", {"step": 1}) as work:
        work.state["log"] = "x" * (5 << 20)
        with pytest.raises(LabError, match="the limit is"):
            work.save()
    assert workspace.open_work("training", work.id).state == {"step": 1}
