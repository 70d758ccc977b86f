"""How candidates are sampled, without what computes them, so that forms need no torch."""

from __future__ import annotations

from dataclasses import dataclass

from core import settings as schema
from core.preferences.task import FEWEST, MOST
from core.problems import LabError
from core.settings import setting

_HOTTEST = 5.0


@dataclass(frozen=True)
class SampleSettings:
    """How the outputs of a prompt are sampled."""

    outputs: int = setting(
        4, help="How many outputs each prompt gets.", unit="outputs", low=FEWEST, high=MOST,
        more_means="More pairs from one ranking, and more to read.",
    )  # fmt: skip
    temperatures: str = setting(
        "0, 0.7, 1.2, 1.6",
        help="Temperatures, with commas: the outputs take them in turn. Different ones differ in quality.",
    )
    top_p: float = setting(1.0, title="Top-p", help="Keep tokens until they add up to p.", low=0.01, high=1.0)
    max_tokens: int = setting(80, help="How long an output is at most.", unit="tokens", low=1, high=4096)
    seed: int = setting(0, help="The same seed gives the same outputs.", low=0, high=2**31 - 1)


def temperatures_of(settings: SampleSettings) -> tuple[float, ...]:
    """The temperatures of the settings, checked with the rest.

    Raises:
        LabError: A setting is outside its limits, or a temperature is no number from 0 to 5.

    >>> temperatures_of(SampleSettings(temperatures="0, 0.7"))
    (0.0, 0.7)
    """
    schema.check(settings)
    try:
        read = tuple(float(part) for part in settings.temperatures.split(","))
    except ValueError:
        read = ()
    if not read or not all(0 <= temperature <= _HOTTEST for temperature in read):
        raise LabError(
            f"The temperatures are {settings.temperatures[:60]!r}.",
            f"Write numbers from 0 to {_HOTTEST:g} with commas between them, such as 0, 0.7, 1.2.",
        )
    return read
