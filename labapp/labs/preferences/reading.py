"""Everything that is read out of a task's rankings, measured on a worker in one go."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from core.problems import LabError
from core.stages import Finished, Progress, pass_on
from labapp.words import tr

if TYPE_CHECKING:
    from core.preferences.agreement import Agreement
    from core.preferences.quality import Quality
    from core.preferences.results import Results
    from core.preferences.store import Store
    from core.preferences.strengths import Strengths


@dataclass(frozen=True, eq=False)
class Measured:
    """What was measured.

    Attributes:
        results: What people said.
        agreement: How far they agree.
        strengths: Of the models, or None where `why` says why not.
        why: Why there are no strengths, or "".
        quality: Whether the answers can be trusted.
    """

    results: Results
    agreement: Agreement
    strengths: Strengths | None
    why: str
    quality: Quality


def read_all(store: Store) -> Iterator[Any]:
    """Read and measure; ends with a `Measured`."""
    from core.preferences.agreement import measure_agreement
    from core.preferences.quality import measure_quality
    from core.preferences.results import read_results
    from core.preferences.strengths import measure_strengths

    yield Progress(tr("Reading the rankings"), 0, None, "rankings")
    results = read_results(store)
    agreement = yield from pass_on(measure_agreement(results))
    strengths, why = None, ""
    try:
        strengths = yield from pass_on(measure_strengths(results))
    except LabError as error:
        why = f"{error.problem} {error.remedy}"
    yield Finished(tr("Measured."), Measured(results, agreement, strengths, why, measure_quality(results)))


def agreement_now(store: Store) -> Iterator[Any]:
    """How far people agree right now; ends with a sentence."""
    from core.preferences.agreement import measure_agreement
    from core.preferences.results import read_results

    agreement = yield from pass_on(measure_agreement(read_results(store)))
    if not agreement.items:
        text = tr("Agreement is known once two people have ranked the same prompt.")
    else:
        first = agreement.overall[0]
        text = tr(
            "Agreement so far, over {n:,} prompts: {value}. {means}",
            n=agreement.items, value=percent(first.value), means=tr(first.means or first.why),
        )  # fmt: skip
    yield Finished(tr("Measured."), text)


def figure(value: float | None, digits: int = 2) -> str:
    """A number, or a word where there is none.

    >>> figure(-0.5), figure(None)
    ('−0.50', 'undefined')
    """
    return tr("undefined") if value is None else f"{value:.{digits}f}".replace("-", "−")


def percent(value: float | None) -> str:
    """A share in a hundred, or a word where there is none.

    >>> percent(0.726), percent(None)
    ('72.6 %', 'undefined')
    """
    return tr("undefined") if value is None else f"{100 * value:.1f} %"


def short_names(names: Sequence[str]) -> list[str]:
    """Names without what all of them begin with, up to a comma.

    >>> short_names(["M, temperature 0", "M, temperature 1"]), short_names(["a", "b"])
    (['temperature 0', 'temperature 1'], ['a', 'b'])
    """
    firsts = {name.partition(", ")[0] for name in names}
    if len(names) > 1 and len(firsts) == 1 and all(", " in name for name in names):
        return [name.partition(", ")[2] for name in names]
    return list(names)


def quality_rows(quality: Quality) -> list[tuple[str, str, str]]:
    """The figures on quality: name, value, and what it means in plain words."""
    position, length, time = quality.position, quality.length, quality.time
    rows = [
        (tr("Hidden checks right"), percent(quality.gold.value),
         tr("of {n:,} pairs with a known winner", n=quality.gold.whole)),
        (tr("Agreement with oneself (τ-b)"), figure(quality.consistency),
         tr("over {n:,} prompts that came twice; 1 is the same order again", n=quality.repeats)),
        (tr("Longer answer wins"), percent(length.longer_wins.value),
         tr("of {n:,} pairs of different length; 50 % would be no preference", n=length.longer_wins.whole)),
        (tr("Length and rank (τ-b)"), figure(length.tau),
         tr("1 where longer is always better, 0 where it does not matter")),
        (tr("Place of the winner, p"), figure(position.p, 3),
         tr("probability of such a difference between places by chance; small means that the place matters")),
        (tr("Time for a prompt"), tr("undefined") if time.median_s is None else f"{time.median_s:.1f} s",
         tr("median of active time; {h:.2f} hours in all", h=time.total_h)),
        (tr("Too fast to have read"), percent(time.hasty.value), tr("of {n:,} rankings", n=time.hasty.whole)),
    ]  # fmt: skip
    for n, (wins, by_chance) in enumerate(zip(position.wins, position.expected, strict=True), 1):
        rows.append((tr("Best answer in place {n}", n=n), f"{wins:,}", tr("{n:.1f} by chance", n=by_chance)))
    if quality.drift:
        first, last = quality.drift[0], quality.drift[-1]
        rows.append(
            (tr("Agreement with the others, first and last"), f"{percent(first)}, {percent(last)}",
             tr("averaged over up to 50 rankings in the order of work; a fall may be tiredness"))
        )  # fmt: skip
    return rows
