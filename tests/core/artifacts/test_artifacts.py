"""Artifacts appear whole, never change, and say so when somebody changed them."""

from __future__ import annotations

import dataclasses
import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from core.artifacts import (
    MISSING,
    TRASHED,
    Artifact,
    Draft,
    Workspace,
    default_root,
    durable,
    open_artifact,
    publish_folder,
)
from core.problems import LabError
from core.settings import setting
from core.stages import Finished, Progress


@dataclasses.dataclass(frozen=True)
class _Settings:
    vocab_size: int = setting(512, help="How many tokens.", low=256)


def _make(workspace: Workspace, kind: str = "report", name: str = "A report", **facts: object) -> Artifact:
    with workspace.new_artifact(kind, name, "test", **facts) as draft:  # type: ignore[arg-type]
        draft.write("one.txt", f"{name} one")
        draft.write("deep/er/two.bin", b"\0" * 1000)
    return draft.artifact


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path / "workspace")


def test_an_artifact_says_all_about_its_making(workspace: Workspace) -> None:
    before = datetime.now(UTC)
    parent = _make(workspace, "corpus", "Verse")
    with workspace.new_artifact(
        "tokenizer", "Verse 512", "tokenizer.learn", _Settings(), seed=7, parents=[parent]
    ) as draft:
        draft.write("tokenizer.json", "{}")
        draft.metrics["characters per token"] = 3.25
    made = Workspace(workspace.root).artifact(draft.id)
    assert made == draft.artifact
    assert (made.kind, made.name, made.stage, made.seed) == ("tokenizer", "Verse 512", "tokenizer.learn", 7)
    assert (made.settings, made.metrics) == ({"vocab_size": 512}, {"characters per token": 3.25})
    assert made.parents == (parent.id,)
    assert before <= made.created <= datetime.now(UTC)
    assert made.created.utcoffset() == timedelta(0)
    assert made.files["tokenizer.json"].size == 2
    assert made.checked_path("tokenizer.json").read_text(encoding="utf-8") == "{}"
    assert made.folder == workspace.root / "artifacts" / "tokenizer" / made.id


def test_the_newest_artifact_is_listed_first(workspace: Workspace) -> None:
    made = [_make(workspace, kind, f"number {n}").id for n, kind in enumerate(["report", "corpus", "report"])]
    assert [one.id for one in workspace.artifacts()] == made[::-1]
    assert [one.id for one in workspace.artifacts("report")] == [made[2], made[0]]
    assert workspace.artifacts("vectors") == []


def test_ids_sort_by_time_and_never_repeat() -> None:
    from core.artifacts.manifest import is_new_id, new_id

    ids = [new_id() for _ in range(2000)]
    assert len(set(ids)) == 2000
    assert all(map(is_new_id, ids))
    assert [one[:21] for one in ids] == sorted(one[:21] for one in ids)


def test_an_exception_leaves_nothing(workspace: Workspace) -> None:
    def fail() -> None:
        with workspace.new_artifact("report", "Half", "test") as draft:
            draft.write("one.txt", "1")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert workspace.artifacts() == []
    assert list((workspace.root / "staging").iterdir()) == []
    assert list((workspace.root / "locks").iterdir()) == []


def test_a_closed_stage_leaves_nothing(workspace: Workspace) -> None:
    def stage():  # type: ignore[no-untyped-def]
        with workspace.new_artifact("report", "Half", "test") as draft:
            draft.write("one.txt", "1")
            yield Progress("Writing", 1, 2, "files")

    running = stage()
    next(running)
    running.close()
    assert workspace.artifacts() == []
    assert list((workspace.root / "staging").iterdir()) == []


def test_a_draft_that_another_window_is_making_is_not_swept(workspace: Workspace) -> None:
    with workspace.new_artifact("report", "Slow", "test") as draft:
        draft.write("one.txt", "1")
        other = Workspace(workspace.root)
        assert other.artifacts() == []
    assert [one.name for one in other.artifacts()] == ["Slow"]
    other.artifacts()[0].verify()


def test_publishing_can_be_followed_as_a_stage(workspace: Workspace) -> None:
    with workspace.new_artifact("report", "Large", "test") as draft:
        draft.write("large.bin", bytes(3 << 20))
        events = list(draft.publishing())
    assert [event.done for event in events[:-1]] == [1 << 20, 2 << 20, 3 << 20]
    assert isinstance(events[-1], Finished)
    assert events[-1].result == draft.artifact
    progress = list(draft.artifact.verifying())
    assert (progress[-2].done, progress[-2].total) == (3 << 20, 3 << 20)


def test_a_metric_that_is_not_finite_is_kept_by_name(workspace: Workspace) -> None:
    with workspace.new_artifact("report", "Diverged", "test") as draft:
        draft.metrics |= {"loss": float("nan"), "best": float("inf"), "steps": (1, 2)}
    made = open_artifact(draft.artifact.folder)
    assert made.metrics == {"loss": "nan", "best": "inf", "steps": [1, 2]}


@pytest.mark.parametrize("name", ["", "  ", "two\nlines", "x" * 201])
def test_a_name_that_will_not_do_is_refused_at_the_call(workspace: Workspace, name: str) -> None:
    with pytest.raises(LabError, match="The name"):
        workspace.new_artifact("report", name, "test")


@pytest.mark.parametrize("file", ["../x", "/x", "a//b", "a\\b", "CON", "a/nul.txt", "x.", "", "a:b"])
def test_a_file_name_that_some_system_refuses_is_refused_here(workspace: Workspace, file: str) -> None:
    draft = workspace.new_artifact("report", "R", "test")
    with draft, pytest.raises(LabError, match="The file name"):
        draft.write(file, "x")
    assert draft.artifact.files == {}


def test_two_files_that_differ_in_case_only_are_refused(workspace: Workspace, tmp_path: Path) -> None:
    (tmp_path / "a").touch()
    if (tmp_path / "A").exists():
        pytest.skip("this file system ignores case")
    draft = workspace.new_artifact("report", "R", "test")
    with pytest.raises(LabError, match="twice"), draft:
        _write_twins(draft)
    assert workspace.artifacts() == []


def _write_twins(draft: Draft) -> None:
    draft.write("a.txt", "1")
    draft.write("A.txt", "2")


def test_a_link_does_not_become_part_of_an_artifact(workspace: Workspace, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("s", encoding="utf-8")
    draft = workspace.new_artifact("report", "R", "test")
    with pytest.raises(LabError, match="link"), draft:
        (draft.folder / "link").symlink_to(tmp_path / "secret")
    assert workspace.artifacts() == []


def _change(folder: Path) -> None:
    (folder / "one.txt").write_text("A report 0ne", encoding="utf-8")


def _grow(folder: Path) -> None:
    (folder / "one.txt").write_text("longer than it was", encoding="utf-8")


def _remove(folder: Path) -> None:
    (folder / "one.txt").unlink()


def _add(folder: Path) -> None:
    (folder / "deep" / "extra.txt").write_text("x", encoding="utf-8")


def _link(folder: Path) -> None:
    (folder / "deep" / "er").rename(folder.parent / "elsewhere")
    (folder / "deep" / "er").symlink_to(folder.parent / "elsewhere")


def _rewrite(folder: Path) -> None:
    path = folder / "artifact.json"
    path.write_text(path.read_text(encoding="utf-8").replace("A report", "B report"), encoding="utf-8")


@pytest.mark.parametrize(
    ("damage", "named"),
    [
        (_change, "one.txt .* sha256"),
        (_grow, "one.txt .* 18 bytes instead of 12"),
        (_remove, "one.txt .* missing"),
        (_add, "deep/extra.txt .* extra"),
        (_link, "deep/er.* link"),
        (_rewrite, "artifact.json .* changed"),
    ],
)
def test_verifying_names_what_is_damaged(workspace: Workspace, damage, named: str) -> None:  # type: ignore[no-untyped-def]
    made = _make(workspace)
    made.verify()
    damage(made.folder)
    with pytest.raises(LabError, match=named):
        made.verify()


def test_a_checked_path_notices_a_change_after_the_first_check(workspace: Workspace) -> None:
    made = _make(workspace)
    made.checked_path("one.txt")
    _grow(made.folder)
    with pytest.raises(LabError, match=r"one.txt .* has changed"):
        made.checked_path("one.txt")
    with pytest.raises(LabError, match=r"no file 'three.txt'"):
        made.checked_path("three.txt")


def test_a_change_that_keeps_the_size_is_noticed_by_its_time(workspace: Workspace) -> None:
    made = _make(workspace)
    path = made.checked_path("one.txt")
    before = path.stat().st_mtime_ns
    _change(made.folder)
    os.utime(path, ns=(before + 10**9, before + 10**9))
    with pytest.raises(LabError, match=r"one.txt .* sha256"):
        made.checked_path("one.txt")


def test_a_file_is_hashed_once_per_workspace(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    id = _make(workspace).id
    fresh = Workspace(workspace.root)
    hashed: list[Path] = []
    real = durable.hashing
    monkeypatch.setattr(durable, "hashing", lambda path: (hashed.append(path), real(path))[1])
    for _ in range(3):
        fresh.artifact(id).checked_path("one.txt")
    assert [path.name for path in hashed] == ["one.txt"]


def test_what_a_file_manager_leaves_does_not_damage_an_artifact(workspace: Workspace) -> None:
    made = _make(workspace)
    (made.folder / ".DS_Store").write_bytes(b"\0")
    made.verify()


def test_the_trash_deletes_nothing_and_gives_back(workspace: Workspace) -> None:
    parent = _make(workspace, "corpus", "Verse")
    child = _make(workspace, "tokenizer", "T", parents=[parent])
    workspace.trash(parent.id)
    assert [one.id for one in workspace.artifacts()] == [child.id]
    assert [(one.id, one.state) for one in workspace.trashed()] == [(parent.id, TRASHED)]
    child.verify()
    assert [(one.name, one.state) for one in workspace.lineage(child.id)] == [
        ("Verse", TRASHED),
        ("T", "here"),
    ]
    with pytest.raises(LabError, match="in the trash"):
        workspace.artifact(parent.id)
    with pytest.raises(LabError, match="in the trash"):
        workspace.trash(parent.id)
    assert workspace.restore(parent.id) == parent
    workspace.artifact(parent.id).verify()
    with pytest.raises(LabError, match=r"no artifact .* in the trash"):
        workspace.restore(parent.id)


def test_a_missing_parent_is_a_stub_with_its_id(workspace: Workspace) -> None:
    child = _make(workspace, "tokenizer", "T", parents=["20200101t000000000000-aaaaaa"])
    missing, found = workspace.lineage(child.id)
    assert (missing.id, missing.name, missing.state) == (child.parents[0], child.parents[0], MISSING)
    assert found == child
    with pytest.raises(LabError, match="not in this workspace"):
        missing.checked_path("x")
    with pytest.raises(LabError, match="not in this workspace"):
        workspace.artifact("../../etc")


def test_the_chain_names_each_stage_and_prefers_the_corpus_of_the_base(workspace: Workspace) -> None:
    corpus = _make(workspace, "corpus", "Small world")
    tokenizer = _make(workspace, "tokenizer", "T", parents=[corpus])
    base = _make(workspace, "model", "Base", parents=[corpus, tokenizer], role="base")
    chats = _make(workspace, "corpus", "Chats", parents=[])
    sft = _make(workspace, "model", "SFT", parents=[base, chats], role="sft")
    rankings = _make(workspace, "preferences", "Ranked", parents=[sft])
    aligned = _make(workspace, "adapter", "Aligned", parents=[sft, rankings], role="aligned")
    quantized = _make(workspace, "quantized", "Q4_K_M", parents=[aligned])
    chain = {link: one.name for link, one in workspace.chain(quantized.id).items()}
    assert chain == {
        "corpus": "Small world",
        "tokenizer": "T",
        "base": "Base",
        "sft": "SFT",
        "preferences": "Ranked",
        "aligned": "Aligned",
        "quantized": "Q4_K_M",
    }
    assert list(workspace.chain(tokenizer.id)) == ["corpus", "tokenizer"]
    order = [one.id for one in workspace.lineage(quantized.id)]
    assert all(
        order.index(parent) < order.index(one.id) for one in workspace.artifacts() for parent in one.parents
    )


def test_a_circle_of_parents_ends(workspace: Workspace) -> None:
    first = _make(workspace)
    second = _make(workspace, parents=[first])
    path = first.folder / "artifact.json"
    facts = json.loads(path.read_text(encoding="utf-8")) | {"parents": [second.id, first.id]}
    path.write_text(json.dumps(facts), encoding="utf-8")
    assert {one.id for one in workspace.lineage(second.id)} == {first.id, second.id}
    assert workspace.chain(first.id) == {}


def test_shipped_artifacts_are_in_the_list_and_read_only(workspace: Workspace, tmp_path: Path) -> None:
    with publish_folder(
        tmp_path / "resources" / "models" / "base", "model", "Shipped", "x", role="base"
    ) as draft:
        draft.write("config.json", "{}")
    own = _make(workspace, "model", "Own", parents=[draft.id], role="sft")
    both = Workspace(workspace.root, shipped=[tmp_path / "resources"])
    assert [(one.name, one.read_only) for one in both.artifacts("model")] == [
        ("Own", False),
        ("Shipped", True),
    ]
    with pytest.raises(LabError, match="came with LLM Lab"):
        both.trash(draft.id)
    assert list(both.chain(own.id)) == ["base", "sft"]
    assert both.problems() == []


def test_a_folder_is_published_outside_of_a_workspace_and_adopted_into_one(
    workspace: Workspace, tmp_path: Path
) -> None:
    (tmp_path / "out").mkdir()
    with publish_folder(tmp_path / "out", "report", "Out", "test", {"a": 1}) as draft:
        draft.write("sub/page.html", "<p>")
        draft.metrics["pages"] = 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "workspace"]
    given = open_artifact(tmp_path / "out")
    given.verify()
    taken = workspace.adopt(tmp_path / "out")
    assert taken.manifest == given.manifest
    assert workspace.adopt(tmp_path / "out") == taken
    assert Workspace(workspace.root).artifacts() == [taken]


def test_a_folder_that_is_taken_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("x", encoding="utf-8")
    for taken in (tmp_path / "out", tmp_path / "out" / "mine.txt"):
        with pytest.raises(LabError, match="exists already"):
            publish_folder(taken, "report", "R", "test")
    assert [path.name for path in tmp_path.rglob("*")] == ["out", "mine.txt"]


def test_a_damaged_artifact_is_not_adopted(workspace: Workspace, tmp_path: Path) -> None:
    with publish_folder(tmp_path / "out", "report", "Out", "test") as draft:
        draft.write("page.html", "<p>")
    (tmp_path / "out" / "page.html").write_text("<b>", encoding="utf-8")
    with pytest.raises(LabError, match="sha256"):
        workspace.adopt(tmp_path / "out")
    assert workspace.artifacts() == []


def test_a_disk_without_room_is_refused_before_the_start_with_figures(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(durable, "free_bytes", lambda folder: 150_000_000)
    with pytest.raises(LabError) as refused:
        workspace.new_artifact("model", "Large", "test", expected_bytes=98_000_000)
    assert "150.0 MB free" in refused.value.problem
    assert "196.0 MB" in refused.value.problem
    assert "46.0 MB" in refused.value.remedy
    with pytest.raises(LabError, match="free"):
        publish_folder(tmp_path / "out", "model", "Large", "test", expected_bytes=98_000_000)
    with workspace.new_artifact("model", "Small", "test", expected_bytes=75_000_000) as draft:
        pass
    assert draft.artifact.name == "Small"


def test_the_root_is_beside_a_portable_app_and_else_the_user_s(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    usual = default_root()
    assert "llmlab" in str(usual).lower()
    assert default_root(tmp_path) == usual
    (tmp_path / "portable").touch()
    (tmp_path / "llmlab.exe").touch()
    assert default_root(tmp_path) == tmp_path / "workspace"
    assert default_root(tmp_path / "llmlab.exe") == tmp_path / "workspace"


def test_a_root_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(LabError, match="file is a file"):
        Workspace(tmp_path / "file" / "workspace")
