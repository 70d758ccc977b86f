"""The rows of each format, made from rankings; what they are written to is `exporting.py`'s business.

TRL's formats: https://huggingface.co/docs/trl/dataset_formats. Prompts are explicit, because a prompt found
as the common beginning of two answers swallows their own first letters. Completions as text begin with
white space of their own: TRL adds none.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from core.preferences.export_settings import ExportSettings
from core.preferences.pairs import Pair, pairs_of, put_together
from core.preferences.results import Passed, Ranking, Results
from core.preferences.task import GOLD, WORK, Item
from core.preferences.texts import Said, digest, folded, plain_said, prompt_text

SCHEMA = 1
TRAIN, VALIDATION = "train", "validation"
_MARKERS = ("\n\nHuman:", "\n\nAssistant:")
_DESIRED, _UNDESIRED = 5, 3  # ratings from and up to which an output counts as good or bad

Row = dict[str, Any]


@dataclass(frozen=True)
class Rows:
    """All rows of a format.

    Attributes:
        of_split: "train" and "validation" to rows.
        left_out: Why rows were left out, and how many.
    """

    of_split: Mapping[str, list[Row]]
    left_out: Mapping[str, int]


def split_of(prompt: Said, validation: int) -> str:
    """Train or validation: by the prompt alone, so that nothing of it is on both sides.

    >>> split_of("Hello.", 0), split_of("Hello.", 50) == split_of(" Hello. ", 50)
    ('train', True)
    """
    share = int(digest("split", folded(prompt_text(prompt)))[:8], 16) / 2**32
    return VALIDATION if share < validation / 100 else TRAIN


def pairs_for(results: Results, settings: ExportSettings) -> tuple[Pair, ...]:
    """The pairs that the settings ask for, strict ones and ties."""
    made: list[Pair] = []
    majority = settings.people == "majority"
    bad = {one.item_id for one in results.work() if one.all_bad}
    for ranking in results.work():
        if ranking.item_id in bad and not settings.all_bad and (majority or ranking.all_bad):
            continue
        made += pairs_of(ranking, settings.pairs, ties=settings.ties or majority)
    if majority:
        return put_together(made, at_least=settings.at_least, ties=settings.ties)
    return tuple(made)


def trl_rows(results: Results, settings: ExportSettings, name: Callable[[str], str], *, chat: bool) -> Rows:
    """Rows with prompt, chosen and rejected: texts, or turns of a chat."""
    rows: dict[str, list[Row]] = {TRAIN: [], VALIDATION: []}
    for pair, item, texts in _with_items(results, settings):
        if not pair.tie:
            row = _said(item.prompt, texts[pair.chosen], texts[pair.rejected], chat=chat)
            rows[split_of(item.prompt, settings.validation)].append(row | _facts(pair, name))
    return Rows(rows, {})


def tie_rows(results: Results, settings: ExportSettings, name: Callable[[str], str]) -> Rows:
    """Ties: two outputs and the label 0.5, as WebGPT's comparisons have it (arXiv 2112.09332)."""
    rows: dict[str, list[Row]] = {TRAIN: [], VALIDATION: []}
    for pair, item, texts in _with_items(results, settings):
        if pair.tie:
            row = {"prompt": plain_said(item.prompt), "completion_a": texts[pair.chosen]}
            row |= {"completion_b": texts[pair.rejected], "label": 0.5}
            rows[split_of(item.prompt, settings.validation)].append(row | _facts(pair, name))
    return Rows(rows, {})


def _with_items(results: Results, settings: ExportSettings) -> Iterator[tuple[Pair, Item, dict[str, str]]]:
    for pair in pairs_for(results, settings):
        item = results.items[pair.item_id]
        yield pair, item, {output.id: output.text for output in item.outputs}


def _facts(pair: Pair, name: Callable[[str], str]) -> Row:
    facts: Row = {"prompt_id": pair.item_id, "weight": round(pair.weight, 6)}
    facts |= {"votes": pair.votes, "against": pair.against, "ties": pair.ties}
    facts["annotator"] = name(pair.annotator) if pair.annotator else ""
    return facts


def _said(prompt: Said, chosen: str, rejected: str, *, chat: bool) -> Row:
    if not chat:
        return {"prompt": prompt_text(prompt), "chosen": _spaced(chosen), "rejected": _spaced(rejected)}
    turns = [{"role": "user", "content": prompt}] if isinstance(prompt, str) else plain_said(prompt)
    return {
        "prompt": turns,
        "chosen": [{"role": "assistant", "content": chosen}],
        "rejected": [{"role": "assistant", "content": rejected}],
    }


def _spaced(text: str) -> str:
    return text if text[:1].isspace() else " " + text


def kto_rows(results: Results, settings: ExportSettings, name: Callable[[str], str]) -> Rows:
    """Single outputs with a label: from ratings and "all bad" where they were given, else best and worst.

    Rank 1 among outputs that are all bad is not desirable; a single tier without a rating says nothing.
    """
    rows: dict[str, list[Row]] = {TRAIN: [], VALIDATION: []}
    votes: dict[tuple[str, str], Counter[bool]] = defaultdict(Counter)
    undecided = 0
    for ranking in results.work():
        for id in (id for tier in (*ranking.tiers, ranking.unranked) for id in tier):
            label = _label(ranking, id)
            if label is None:
                undecided += 1
            else:
                votes[ranking.item_id, id][label] += 1
        if ranking.all_bad and not ranking.tiers:
            for output in results.items[ranking.item_id].outputs:
                votes[ranking.item_id, output.id][False] += 1
    even = 0
    for (item_id, id), said in votes.items():
        if said[True] == said[False]:
            even += 1
            continue
        item = results.items[item_id]
        text = next(output.text for output in item.outputs if output.id == id)
        rows[split_of(item.prompt, settings.validation)].append(
            {
                "prompt": prompt_text(item.prompt), "completion": _spaced(text),
                "label": said[True] > said[False],
                "votes": max(said.values()), "against": min(said[True], said[False]), "prompt_id": item_id,
            }
        )  # fmt: skip
    return Rows(rows, _counted({"neither good nor bad to a person": undecided, "even votes": even}))


def _label(ranking: Ranking, id: str) -> bool | None:
    rating = ranking.ratings.get(id)
    if ranking.all_bad or any(ranking.flags.get(id, ())):
        return False
    if rating is not None:
        return True if rating >= _DESIRED else False if rating <= _UNDESIRED else None
    if len(ranking.tiers) + bool(ranking.unranked) < 2:
        return None
    if id in ranking.tiers[0]:
        return True
    last = ranking.unranked or ranking.tiers[-1]
    return False if id in last else None


def hh_rows(results: Results, settings: ExportSettings, name: Callable[[str], str]) -> Rows:
    """Transcripts as Anthropic's HH set has them, each with exactly `chosen` and `rejected`.

    Left out: texts that hold the marks of a turn, and two of which one begins like the whole other, at which
    TRL's converter stops.
    """
    rows: dict[str, list[Row]] = {TRAIN: [], VALIDATION: []}
    left: Counter[str] = Counter()
    for pair, item, texts in _with_items(results, settings):
        if pair.tie:
            continue
        start, chosen, rejected = _transcript(item.prompt), texts[pair.chosen], texts[pair.rejected]
        said = [item.prompt] if isinstance(item.prompt, str) else [turn.content for turn in item.prompt]
        if any(mark in "\n\n" + text for mark in _MARKERS for text in (*said, chosen, rejected)):
            left["a text holds the mark of a turn"] += 1
        elif chosen.startswith(rejected) or rejected.startswith(chosen):
            left["one text begins like the whole other"] += 1
        else:
            row = {"chosen": start + chosen, "rejected": start + rejected}
            rows[split_of(item.prompt, settings.validation)].append(row)
    return Rows(rows, dict(left))


def _transcript(prompt: Said) -> str:
    if isinstance(prompt, str):
        return f"\n\nHuman: {prompt}\n\nAssistant: "
    parts = []
    for turn in prompt:
        who = "Assistant" if turn.role == "assistant" else "Human"
        parts.append(f"\n\n{who}: {turn.content}")
    return "".join(parts) + "\n\nAssistant: "


def native_rows(results: Results, settings: ExportSettings, name: Callable[[str], str]) -> Rows:
    """Everything: a prompt a line with its outputs and every answer, gold and repeats marked as such."""
    answers: dict[str, list[Row]] = defaultdict(list)
    days = sorted({one.time[:10] for one in (*results.rankings, *results.repeats, *results.practice)})
    for ranking in (*results.rankings, *results.repeats, *results.practice):
        answers[ranking.item_id].append(_annotation(ranking, settings, name, days.index(ranking.time[:10])))
    passed: dict[str, list[Row]] = defaultdict(list)
    for skip in results.skips:
        passed[skip.item_id].append(_passed("skip", skip, settings, name))
    for flag in results.flagged:
        passed[flag.item_id].append(_passed("flag", flag, settings, name))
    rows: dict[str, list[Row]] = {TRAIN: [], VALIDATION: []}
    for item in results.items.values():
        split = split_of(item.prompt, settings.validation)
        rows[split].append(
            {
                "schema_version": SCHEMA, "prompt_id": item.id, "prompt": plain_said(item.prompt),
                "category": item.category, "kind": item.kind, "key": [list(tier) for tier in item.key],
                "outputs": [_output(output, settings) for output in item.outputs],
                "annotations": answers[item.id], "passed": passed[item.id], "split": split,
            }
        )  # fmt: skip
    return Rows(rows, {})


def _output(output: Any, settings: ExportSettings) -> Row:
    facts: Row = {"output_id": output.id, "text": output.text, "sha256": digest("text", output.text)}
    if settings.models:
        facts["makers"] = [{"model": one.model, "settings": dict(one.settings)} for one in output.makers]
    if output.marks:
        facts["marks"] = list(output.marks)
    return facts


def _annotation(one: Ranking, settings: ExportSettings, name: Callable[[str], str], day: int) -> Row:
    facts: Row = {
        "annotation_id": one.event_id, "annotator": name(one.annotator),
        "tiers": [list(tier) for tier in one.tiers],
        "unranked": list(one.unranked), "all_bad": one.all_bad, "mode": one.mode, "attempt": one.attempt,
        "flags": {id: list(named) for id, named in one.flags.items()}, "ratings": dict(one.ratings),
        "pairs": [[judged.left, judged.right, judged.verdict] for judged in one.pairs],
        "shown_order": list(one.shown_order), "active_ms": one.active_ms, "wall_ms": one.wall_ms, "day": day,
        "guideline_version": one.guideline_version, "supersedes": one.supersedes, "app_version": one.app,
    }  # fmt: skip
    if settings.comments and one.comment:
        facts["comment"] = one.comment
    return facts


def _passed(what: str, one: Passed, settings: ExportSettings, name: Callable[[str], str]) -> Row:
    facts: Row = {
        "what": what,
        "annotator": name(one.annotator),
        "reason": one.reason,
        "flags": list(one.flags),
    }
    if settings.comments and one.comment:
        facts["comment"] = one.comment
    return facts


def table_rows(results: Results, settings: ExportSettings, name: Callable[[str], str]) -> list[list[str]]:
    """A row for each output of each ranking, with a header: for a spreadsheet."""
    header = [
        "prompt_id", "prompt", "category", "is_gold", "annotator", "attempt", "output_id", "output",
        "model", "rank",
        "rating", "flags", "all_bad", "shown_place", "active_seconds", "split",
    ]  # fmt: skip
    if settings.comments:
        header.append("comment")
    rows = [header]
    for one in (*results.rankings, *results.repeats):
        item = results.items[one.item_id]
        if item.kind not in (WORK, GOLD):
            continue
        place = {id: at for at, id in enumerate(one.shown_order, 1)}
        ranks = one.ranks()
        for output in item.outputs:
            rank = "" if output.id in one.unranked or output.id not in ranks else str(ranks[output.id] + 1)
            row = [
                item.id, prompt_text(item.prompt), item.category, str(item.kind == GOLD), name(one.annotator),
                str(one.attempt), output.id, output.text,
                " + ".join(maker.model for maker in output.makers) if settings.models else "", rank,
                str(one.ratings.get(output.id, "")), ", ".join(one.flags.get(output.id, ())),
                str(one.all_bad),
                str(place.get(output.id, "")), f"{one.active_ms / 1000:.1f}",
                split_of(item.prompt, settings.validation),
            ]  # fmt: skip
            rows.append([*row, one.comment] if settings.comments else row)
    return rows


def _counted(counts: Mapping[str, int]) -> dict[str, int]:
    return {why: count for why, count in counts.items() if count}
