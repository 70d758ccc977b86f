"""Two windows of the app on one workspace do each other no harm, even when one of them is killed in mid-write."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import core
from core.artifacts import Workspace

ROOT = Path(core.__file__).resolve().parent.parent
ACTIONS = 500

# One window: does `actions` random things, and says each as one JSON line, "begin" before and "done" after it.
# With kill_at it kills itself before that call of the system that changes the disk.
WINDOW = """
import json, os, random, signal, sys
from pathlib import Path
from core.artifacts import Workspace, durable
from core.problems import LabError

root, seed, actions, kill_at = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
chance = random.Random(seed)

class KillingOs:
    left = kill_at
    def __getattr__(self, name):
        real = getattr(os, name)
        if name not in {"mkdir", "open", "write", "fsync", "replace", "rename"}:
            return real
        def call(*args):
            self.left -= 1
            if self.left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return real(*args)
        return call

if kill_at:
    durable.os = KillingOs()

def say(**facts):
    print(json.dumps(facts), flush=True)

def create():
    parents = [one.id for one in workspace.artifacts()[:2]]
    with workspace.new_artifact("report", f"Report {seed}", "test", parents=parents) as draft:
        draft.write("one.bin", chance.randbytes(2000))
        draft.write("deep/two.txt", "two")
    return {"made": draft.id}

def look():
    found = workspace.artifacts()
    for one in found[:3]:
        one.checked_path("one.bin")
    return {"problems": [problem.problem for problem in workspace.problems()], "listed": len(found)}

def trash():
    one = chance.choice(workspace.artifacts())
    workspace.trash(one.id)
    return {"trashed": one.id}

def restore():
    one = chance.choice(workspace.trashed())
    workspace.restore(one.id)
    return {"restored": one.id}

def open_work():
    found = workspace.works("training")
    if len(found) < 3:
        work = workspace.new_work("training", f"Run {seed}", {"n": 0})
    else:
        info = chance.choice(found)
        if info.id in opened:
            return {"already": info.id}
        work = workspace.open_work("training", info.id)
    if work.read_only:
        return {"read": work.id, "holder": work.holder.pid if work.holder else None}
    opened[work.id] = work
    return {"holds": work.id}

def save_work():
    work = chance.choice(list(opened.values()))
    work.state["n"] += 1
    work.save()
    return {"saved": work.id, "n": work.state["n"]}

def close_work():
    id = chance.choice(list(opened))
    opened.pop(id).close()
    return {"closed": id}

workspace, opened = Workspace(root), {}
print("ready", flush=True)
sys.stdin.readline()
for _ in range(actions):
    action = chance.choice([create, create, look, trash, restore, open_work, open_work, save_work, save_work, close_work])
    say(begin=action.__name__)
    try:
        say(done=action.__name__, **action())
    except (LabError, IndexError) as refused:  # gone meanwhile, or nothing there to choose
        say(done=action.__name__, refused=str(refused))
for work in opened.values():
    work.close()
"""


class _Window:
    """A window in a process of its own, restarted after each kill until its actions are done."""

    def __init__(self, root: Path, chance: random.Random, kills: int) -> None:
        self.root, self.chance, self.kills = root, chance, kills
        self.left = ACTIONS // 2
        self.killed = 0
        self.events: list[dict[str, Any]] = []
        self.cut_off: Counter[str] = Counter()

    def start(self) -> None:
        kill_at = self.chance.randint(40, 400) if self.killed < self.kills else 0
        arguments = [self.root, self.chance.randrange(1 << 30), self.left, kill_at]
        self.process = subprocess.Popen(
            [sys.executable, "-c", WINDOW, *map(str, arguments)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
        )
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "ready\n"

    def go(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write("go\n")
        self.process.stdin.flush()

    def listen(self) -> None:
        """Hear the window out; what it was doing when it was killed counts as one of its actions."""
        said = [json.loads(line) for line in self.process.communicate()[0].splitlines()]
        began = [event["begin"] for event in said if "begin" in event]
        done = [event for event in said if "done" in event]
        self.events += done
        self.left -= len(began)
        if self.process.returncode == -signal.SIGKILL:
            self.killed += 1
            self.cut_off.update(began[len(done) :])
        else:
            assert self.process.returncode == 0


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL to send oneself")
def test_500_mixed_actions_of_two_windows_with_kills_leave_everything_sound(
    tmp_path: Path, count: Callable[[int, int], int], report: Callable[..., None]
) -> None:
    root = tmp_path / "workspace"
    totals: Counter[str] = Counter()
    for seed in range(count(1, 10)):
        steady, fragile = (_Window(root, random.Random(2 * seed + k), kills=12 * k) for k in (0, 1))
        for window in (steady, fragile):
            window.start()
        for window in (steady, fragile):
            window.go()
        while fragile.left > 0:
            fragile.listen()
            if fragile.left > 0:
                fragile.start()
                fragile.go()
        steady.listen()
        assert len(steady.events) + len(fragile.events) + fragile.cut_off.total() == ACTIONS
        assert fragile.killed >= 3
        _expect_sound(root, steady.events + fragile.events, killed=fragile.killed)
        totals.update(event["done"] for event in steady.events + fragile.events if "refused" not in event)
        totals.update(refused=sum("refused" in event for event in steady.events + fragile.events))
        totals.update(
            read_only=sum("read" in event for event in steady.events + fragile.events), killed=fragile.killed
        )
        for name in ("work", "artifacts", "trash"):  # the next round starts afresh, beside the old
            (root / name).rename(tmp_path / f"{name} {seed}")
    report("two windows: actions by kind", dict(sorted(totals.items())))
    assert (
        min(totals[name] for name in ("create", "look", "trash", "restore", "open_work", "save_work")) >= 10
    )
    assert totals["read_only"] > 0


def _expect_sound(root: Path, events: list[dict[str, Any]], killed: int) -> None:
    workspace = Workspace(root)
    assert workspace.problems() == []
    assert [event["problems"] for event in events if event.get("problems")] == []
    here, trashed = workspace.artifacts(), workspace.trashed()
    for one in here:
        one.verify()
        assert [line.id for line in workspace.lineage(one.id)][-1] == one.id
    for id in [one.id for one in trashed]:
        workspace.restore(id).verify()
    ids = [one.id for one in here + trashed]
    assert len(set(ids)) == len(ids)
    made = {event["made"] for event in events if "made" in event}
    assert made <= set(ids)
    assert len(ids) <= len(made) + killed  # one that was published as its window died is whole, too
    _expect_each_save_once(workspace, events, killed)
    assert list(root.glob("staging/*")) == []


def _expect_each_save_once(workspace: Workspace, events: list[dict[str, Any]], killed: int) -> None:
    """A second writer would have saved the same number again; a lost save would leave a smaller one."""
    saves: dict[str, list[int]] = defaultdict(list)
    for event in events:
        if "saved" in event:
            saves[event["saved"]].append(event["n"])
    assert saves
    for id, numbers in saves.items():
        assert len(set(numbers)) == len(numbers)
        with workspace.open_work("training", id) as work:
            assert not work.read_only
            assert max(numbers) <= work.state["n"] <= max(numbers) + killed
            assert not list(work.folder.glob("*.part"))
