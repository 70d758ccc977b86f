"""A dataset card: what is in a set of rankings, how it was made, and how to load it.

The lines between --- are those that Hugging Face's hub and `datasets` read. People's text is put into fenced
blocks, so that it acts as nothing.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

from core import settings as schema
from core.preferences.agreement import Agreement
from core.preferences.export_settings import FILES, ExportSettings
from core.preferences.results import Results

_WRITTEN = {
    "native": "every answer, losslessly: prompts, outputs, rankings with ties, shown order, times",
    "trl": "better and worse output of each pair, as text (DPO, CPO, ORPO, reward models)",
    "trl_chat": "the same as turns of a chat",
    "kto": "single outputs, desirable or not",
    "hh": "transcripts as Anthropic's HH set has them",
    "csv": "a row for each output of each ranking",
}


def card(
    results: Results, settings: ExportSettings, counts: Mapping[str, Mapping[str, int]],
    left_out: Mapping[str, Mapping[str, int]], agreement: Agreement | None,
) -> str:  # fmt: skip
    """The card as Markdown.

    Args:
        counts: Format to split to rows.
        left_out: Format to why rows were left out, and how many.
        agreement: Where it was measured.
    """
    people = {one.annotator for one in results.rankings}
    versions = sorted({one.guideline_version for one in results.rankings})
    lines = [
        *_front(settings, counts),
        f"# {plain(results.task.name)}",
        "",
        f"{len(results.work()):,} rankings of {len({one.item_id for one in results.work()}):,} prompts by "
        f"{len(people):,} people; {len(results.repeats):,} second rankings by the same person, "
        f"{len(results.skips):,} items passed over. "
        f"Guidelines: version {', '.join(map(str, versions)) or '–'}. "
        f"{results.withdrawn:,} people withdrew and are left out.",
        "",
        "| file | rows to train | rows held out | what it holds |",
        "|---|---|---|---|",
    ]
    for name, of_split in counts.items():
        lines.append(
            f"| {FILES.get(name, name)} | {of_split.get('train', 0):,} | {of_split.get('validation', 0):,} | "
            f"{_WRITTEN.get(name, 'ties, with the label 0.5')} |"
        )
    for name, reasons in left_out.items():
        for why, count in reasons.items():
            lines.append(f"\nLeft out of {FILES.get(name, name)}: {count:,} ({why}).")
    lines += ["", "## How it was made", "", *_made(settings), "", "## Agreement", "", *_agreed(agreement)]
    lines += ["", "## Guidelines", "", *_fenced(results.task.guidelines.text), ""]
    return "\n".join(lines)


def _front(settings: ExportSettings, counts: Mapping[str, Mapping[str, int]]) -> list[str]:
    lines = ["---", f"license: {json.dumps(settings.license)}", "tags: [preferences, rlhf, dpo]", "configs:"]
    for name, of_split in counts.items():
        if name == "csv":
            continue
        file = FILES.get(name, f"{name}.jsonl")
        lines += [f"- config_name: {name}", "  data_files:"]
        for split, count in of_split.items():
            if count:
                lines.append(f"  - {{split: {split}, path: {json.dumps(file_of(file, split))}}}")
    return [*lines, "---", ""]


def file_of(file: str, split: str) -> str:
    """The file that holds a split.

    >>> file_of("trl.jsonl", "train"), file_of("trl.jsonl", "validation")
    ('trl.jsonl', 'trl.validation.jsonl')
    """
    stem, _, end = file.partition(".")
    return file if split == "train" else f"{stem}.{split}.{end}"


def _made(settings: ExportSettings) -> list[str]:
    lines = [
        "People ranked the outputs of each prompt in an order shuffled for each of them, without seeing who "
        "wrote what; equal outputs were shown once. Ties are data; strict files leave them out.",
        "",
        "Train and validation are split by prompt. Each pair carries `weight`, 1 over the number of pairs of "
        "its ranking: nine outputs make 36 pairs that hang together. Gold items are in rankings.jsonl and "
        "rankings.csv alone, marked. People are named by keyed pseudonyms.",
        "",
    ]
    return lines + [
        f"- {info.title}: {plain(str(getattr(settings, info.name)))}" for info in schema.describe(settings)
    ]


def _agreed(agreement: Agreement | None) -> list[str]:
    if agreement is None or not agreement.items:
        return ["No item was ranked by two people."]
    lines = [
        f"Over {agreement.items:,} prompts that two people or more ranked ({agreement.people:,} people).",
        "",
    ]
    lines += ["| measure | value | 95 % interval | items |", "|---|---|---|---|"]
    for one in agreement.overall:
        value = "undefined" if one.value is None else f"{one.value:.3f}"
        ends = "–" if one.low is None or one.high is None else f"{one.low:.3f} to {one.high:.3f}"
        lines.append(f"| {one.title} | {value} | {ends} | {one.n:,} |")
    return lines


def plain(text: str) -> str:
    """A person's text within a line of Markdown, acting as nothing.

    >>> plain("<b>*a*|")
    '\\\\<b\\\\>\\\\*a\\\\*\\\\|'
    """
    return re.sub(r"([\\`*_{}\[\]<>()#|!&])", r"\\\1", " ".join(text.split()))


def _fenced(text: str) -> list[str]:
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return [f"{fence}text", *text.splitlines(), fence]
