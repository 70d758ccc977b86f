"""Rankings as an artifact: what fine-tuning takes, with its lineage."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from core import settings as schema
from core.artifacts import Artifact, Workspace
from core.preferences.agreement import measure_agreement
from core.preferences.export_settings import FORMATS, ExportSettings
from core.preferences.exporting import write_files
from core.preferences.pseudonyms import new_secret
from core.preferences.results import Results
from core.problems import LabError
from core.stages import Finished, Progress, pass_on

STAGE = "preferences.publish"
DATA = "trl_chat.jsonl"
"""The file that a chat model is fine-tuned on; `trl.jsonl` is for models without a chat template."""


def publish_preferences(
    workspace: Workspace,
    results: Results,
    name: str,
    settings: ExportSettings | None = None,
    parents: Sequence[str | Artifact] = (),
    secret: bytes | None = None,
) -> Iterator[Progress | Finished[Artifact]]:
    """Publish a snapshot of the rankings: an artifact of the kind "preferences".

    Args:
        parents: The models whose outputs were ranked, where they are artifacts.
        secret: Of the pseudonyms, where they shall be those of an earlier snapshot.

    Raises:
        LabError: No pair has a winner, the name will not do, or the disk refused.
    """
    settings = settings or ExportSettings()
    schema.check(settings)
    if not any(len(one.tiers) + bool(one.unranked) > 1 for one in results.work()):
        raise LabError("No ranking says that one output is better than another.", "Rank some items first.")
    return _publish(workspace, results, name, settings, parents, secret or new_secret())


def _publish(
    workspace: Workspace,
    results: Results,
    name: str,
    settings: ExportSettings,
    parents: Sequence[str | Artifact],
    secret: bytes,
) -> Iterator[Progress | Finished[Artifact]]:
    agreement = yield from pass_on(measure_agreement(results))
    values = schema.to_json(settings) | {"task": results.task.name, "task_sha256": results.task.sha256}
    with workspace.new_artifact("preferences", name, STAGE, values, parents=parents) as draft:
        counts = yield from write_files(results, draft.folder, settings, FORMATS, secret, agreement)
        draft.metrics |= {
            "rankings": len(results.work()),
            "prompts": len({one.item_id for one in results.work()}),
            "people": len({one.annotator for one in results.work()}),
            "pairs": counts["trl"]["train"],
            "pairs_held_out": counts["trl"]["validation"],
        }
        for one in agreement.overall:
            if one.value is not None:
                draft.metrics[f"agreement_{one.name}"] = one.value
        yield from pass_on(draft.publishing())
    yield Finished(f"{counts['trl']['train']:,} pairs to learn from.", draft.artifact)
