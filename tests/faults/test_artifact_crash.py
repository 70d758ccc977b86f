"""A crash or a fault of the disk at any moment of publishing: the old is intact, the new is whole or absent.

reference/reliability.md, tests 8 (crash loop) and 9 (error loop). Simulated crashes prove nothing about disks
that lie about flushes.
"""

from __future__ import annotations

import contextlib
import errno
import os
import random
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import core
from core.artifacts import Artifact, Work, Workspace, durable, publish_folder
from core.problems import LabError
from tests.faults.killing import CHANGING

ROOT = Path(core.__file__).resolve().parent.parent
FAULTS = ("ENOSPC", "EDQUOT", "EIO", "EACCES", "EROFS")

# A process that publishes for ever, or until it kills itself before the n-th call that changes the disk.
PUBLISHER = """
import os, signal, sys
from pathlib import Path
from core.artifacts import Workspace, durable
from core.artifacts.manifest import app_version
from tests.faults.killing import KillingOs

workspace = Workspace(Path(sys.argv[1]))
app_version()  # imports now what the first publish would import
print("ready", flush=True)
sys.stdin.readline()
if int(sys.argv[2]):
    durable.os = KillingOs(int(sys.argv[2]))
while True:
    with workspace.new_artifact("report", "Again", "test") as draft:
        draft.write("one.txt", os.urandom(3000).hex())
        draft.write("deep/two.bin", os.urandom(200_000))
        draft.metrics["size"] = 206_000
    print(draft.id, flush=True)
"""

Start = Callable[..., subprocess.Popen[str]]
needs_sigkill = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL to send oneself")


class FaultyOs:
    """The system's calls, of which the n-th that changes the disk fails; `code` None makes it a short write."""

    def __init__(self, fail_at: int, code: int | None) -> None:
        self.calls: list[str] = []
        self.fail_at = fail_at
        self.code = code

    def __getattr__(self, name: str) -> Any:
        real = getattr(os, name)
        return (lambda *args: self._call(name, real, args)) if name in CHANGING else real

    def _call(self, name: str, real: Callable[..., Any], args: tuple[Any, ...]) -> Any:
        self.calls.append(name)
        if len(self.calls) == self.fail_at:
            if self.code is not None:
                raise OSError(self.code, os.strerror(self.code))
            if name == "write":
                return real(args[0], args[1][: len(args[1]) // 2])
        return real(*args)


def _publish(workspace: Workspace, name: str) -> Artifact:
    with workspace.new_artifact("report", name, "test") as draft:
        draft.write("one.txt", name)
        draft.write("deep/two.bin", bytes(100))
    return draft.artifact


@pytest.fixture
def start() -> Iterator[Start]:
    """Start a publisher in a workspace; those that a failed test leaves are ended."""
    with contextlib.ExitStack() as stack:

        def publisher(root: Path, kill_at: int = 0) -> subprocess.Popen[str]:
            environment = os.environ | {"PYTHONPATH": str(ROOT)}
            command = [sys.executable, "-c", PUBLISHER, str(root), str(kill_at)]
            pipe = subprocess.PIPE
            process = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, env=environment)
            stack.callback(process.communicate)
            stack.callback(process.kill)
            return process

        yield publisher


def _go(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.stdin.write("go\n")
    process.stdin.flush()


def _killed(process: subprocess.Popen[str]) -> set[str]:
    """The ids that a process acknowledged before it was killed."""
    assert process.stdout is not None
    with process.stdout:
        said = process.stdout.read()
    process.wait()
    assert process.returncode == -signal.SIGKILL
    return set(said.split())


def _expect_all_sound(root: Path, acknowledged: set[str], seen: set[str]) -> set[str]:
    """After a restart: nothing acknowledged is lost, nothing is half, nothing is left over; all ids."""
    workspace = Workspace(root)
    artifacts = workspace.artifacts()
    assert workspace.problems() == []
    ids = {one.id for one in artifacts}
    assert acknowledged <= ids
    for one in artifacts:
        if one.id not in seen:
            one.verify()
    left = [*root.glob("staging/*"), *root.glob("locks/*"), *root.rglob("*.part")]
    assert left == []
    return ids


@needs_sigkill
def test_a_kill_before_every_call_of_publishing_loses_nothing(
    tmp_path: Path, start: Start, report: Callable[..., None]
) -> None:
    root = tmp_path / "workspace"
    old = _publish(Workspace(root), "Old")
    acknowledged, seen, points = {old.id}, {old.id}, 0
    while True:
        process = start(root, points + 1)
        _go(process)
        said = _killed(process)
        acknowledged |= said
        seen |= _expect_all_sound(root, acknowledged, seen)
        if said:  # killed only after one whole publish: every call of it had its turn
            break
        points += 1
    for one in Workspace(root).artifacts():
        one.verify()
    report("artifacts: points of one publish at which a kill loses nothing", points)
    assert points >= 20


@needs_sigkill
@pytest.mark.timeout(3600)
def test_kills_at_random_moments_lose_nothing(
    tmp_path: Path, start: Start, count: Callable[[int, int], int], report: Callable[..., None]
) -> None:
    chance = random.Random(40)
    kills, half = count(40, 1000), 0
    following = start(tmp_path / "workspace 0")
    for kill in range(kills):
        process, root = following, tmp_path / f"workspace {kill // 50}"
        following = start(tmp_path / f"workspace {(kill + 1) // 50}")
        if kill % 50 == 0:
            acknowledged, seen = set[str](), set[str]()
        _go(process)
        try:
            process.wait(timeout=chance.uniform(0, 0.04))
        except subprocess.TimeoutExpired:
            process.kill()
        process.wait()
        half += any(root.glob("staging/*"))
        acknowledged |= _killed(process)
        seen = _expect_all_sound(root, acknowledged, seen)
    report("artifacts: random kills survived, of them in mid-publish", [kills, half])
    assert half > kills // 4


@pytest.mark.parametrize("fault", [*FAULTS, "short write"])
def test_a_fault_at_every_call_of_publishing_is_one_error_and_a_retry_works(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str, report: Callable[..., None]
) -> None:
    root = tmp_path / "workspace"
    workspace = Workspace(root)
    old = _publish(workspace, "Old")
    failed: Counter[str] = Counter()
    for at in range(1, 1000):
        faulty = FaultyOs(at, None if fault == "short write" else getattr(errno, fault))
        monkeypatch.setattr(durable, "os", faulty)
        error = _error_of(lambda: _publish(workspace, "New"))
        monkeypatch.setattr(durable, "os", os)
        if len(faulty.calls) < at:
            break
        failed[faulty.calls[at - 1]] += 1
        if fault == "short write":
            assert error is None
        else:
            assert error is not None
            assert str(tmp_path) in error.problem
            assert error.remedy
            assert [one.id for one in workspace.artifacts()] == [old.id]
            _publish(workspace, "Again")
            assert [one.name for one in workspace.artifacts()] == ["Again", "Old"]
        _expect_all_sound(root, {old.id}, set())
        for one in workspace.artifacts():
            if one.id != old.id:
                workspace.trash(one.id)
    report(f"artifacts: calls of one publish that met {fault}", sum(failed.values()))
    assert failed["write"] >= 3
    assert failed["fsync"] >= 8
    assert failed["rename"] == 1
    assert failed["replace"] == 3


def _error_of(action: Callable[[], object]) -> LabError | None:
    try:
        action()
    except LabError as error:
        return error
    return None


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_while_work_is_saved_leaves_the_old_or_the_new_state(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    workspace = Workspace(tmp_path / "workspace")
    work = workspace.new_work("training", "Run", {"step": 0})
    for at in range(1, 100):
        before = _step_on_disk(workspace, work)
        work.state["step"] += 1
        faulty = FaultyOs(at, getattr(errno, fault))
        monkeypatch.setattr(durable, "os", faulty)
        error = _error_of(work.save)
        monkeypatch.setattr(durable, "os", os)
        if len(faulty.calls) < at:
            break
        assert error is not None
        renamed = faulty.calls[:at].count("replace") == 1 and faulty.calls[at - 1] != "replace"
        assert _step_on_disk(workspace, work) == (work.state["step"] if renamed else before)
        assert [path.name for path in work.folder.iterdir()] == ["work.json"]
        work.save()
        assert _step_on_disk(workspace, work) == work.state["step"]
    assert at >= 6
    work.close()


def _step_on_disk(workspace: Workspace, work: Work) -> int:
    reader = workspace.open_work(work.kind, work.id)
    assert reader.read_only
    return int(reader.state["step"])


@pytest.mark.parametrize("fault", ["ENOSPC", "EIO"])
def test_a_fault_while_new_work_is_made_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    root = tmp_path / "workspace"
    workspace = Workspace(root)
    workspace.new_work("training", "Old").close()
    for at in range(1, 100):
        faulty = FaultyOs(at, getattr(errno, fault))
        monkeypatch.setattr(durable, "os", faulty)
        error = _error_of(lambda: workspace.new_work("training", "New").close())
        monkeypatch.setattr(durable, "os", os)
        if len(faulty.calls) < at:
            break
        names = [info.name for info in workspace.works()]
        assert names == (["Old"] if error else ["New", "Old"])  # a note that could not be left is no error
        assert workspace.problems() == []
        assert list((root / "staging").iterdir()) == []
        if error is None:
            workspace.trash_work("training", workspace.works()[0].id)
    assert at >= 10


@pytest.mark.parametrize("fault", ["ENOSPC", "EACCES"])
def test_a_fault_at_every_call_of_the_command_line_s_folder_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    def publish() -> None:
        with publish_folder(tmp_path / "out", "report", "R", "test") as draft:
            draft.write("one.txt", "1")

    for at in range(1, 100):
        faulty = FaultyOs(at, getattr(errno, fault))
        monkeypatch.setattr(durable, "os", faulty)
        error = _error_of(publish)
        monkeypatch.setattr(durable, "os", os)
        if len(faulty.calls) < at:
            break
        assert error is not None
        assert list(tmp_path.iterdir()) == []
    assert at >= 10
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO])
def test_a_full_disk_under_a_stage_s_own_writing_is_explained(tmp_path: Path, code: int) -> None:
    workspace = Workspace(tmp_path / "workspace")
    draft = workspace.new_artifact("model", "Large", "test")
    with pytest.raises(LabError, match=r"disk (is full|reported an error)"), draft:
        raise OSError(code, os.strerror(code))  # as torch's or gguf's writer would
    assert workspace.artifacts() == []
    assert list((tmp_path / "workspace" / "staging").iterdir()) == []


class _Order:
    """The system's calls, noted with their paths: what was synced and renamed, in this order."""

    def __init__(self) -> None:
        self.said: list[tuple[str, str]] = []
        self.paths: dict[int, str] = {}

    def __getattr__(self, name: str) -> Any:
        return (
            getattr(self, f"_{name}") if name in ("open", "fsync", "rename", "replace") else getattr(os, name)
        )

    def _open(self, path: Path, *args: int) -> int:
        handle = os.open(path, *args)
        self.paths[handle] = str(path)
        return handle

    def _fsync(self, handle: int) -> None:
        os.fsync(handle)
        self.said.append(("fsync", self.paths[handle]))

    def _rename(self, source: Path, target: Path) -> None:
        os.rename(source, target)
        self.said.append(("rename", str(target)))

    def _replace(self, source: Path, target: Path) -> None:
        os.replace(source, target)
        self.said.append(("replace", str(target)))


def test_everything_is_on_the_disk_before_the_folder_becomes_visible(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace = Workspace(tmp_path / "workspace")
    draft = workspace.new_artifact("report", "R", "test")
    order = _Order()
    with draft:
        (draft.folder / "deep").mkdir()
        (draft.folder / "deep" / "one.bin").write_bytes(bytes(1000))  # as another library writes: unsynced
        monkeypatch.setattr(durable, "os", order)
    monkeypatch.setattr(durable, "os", os)
    staging = str(draft.folder)
    final = str(draft.artifact.folder)
    at = {said: place for place, said in enumerate(order.said)}
    visible = at["rename", final]
    written = at["replace", f"{staging}/artifact.json"]
    assert at["fsync", f"{staging}/deep/one.bin"] < written < visible
    assert at["fsync", f"{staging}/deep"] < visible
    assert written < at["fsync", staging] < visible
    assert visible < at["fsync", str(draft.artifact.folder.parent)]


def test_a_workspace_that_cannot_be_written_can_still_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "workspace"
    old = _publish(Workspace(root), "Old")

    class ReadOnlyOs(FaultyOs):
        def _call(self, name: str, real: Callable[..., Any], args: tuple[Any, ...]) -> Any:
            raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(durable, "os", ReadOnlyOs(0, None))
    workspace = Workspace(root)
    assert workspace.artifacts() == [old]
    workspace.artifact(old.id).verify()
    for action in (lambda: _publish(workspace, "New"), lambda: workspace.trash(old.id)):
        error = _error_of(action)
        assert error is not None
        assert "read-only" in error.problem
    assert workspace.artifacts() == [old]
