"""What tokens cost: a table that people edit, with a date. No price is ever looked up."""

from __future__ import annotations

import datetime
import importlib.resources
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.formats.files import read_text
from core.problems import LabError

PRICES_AT_MOST = 1_000_000  # bytes


@dataclass(frozen=True, slots=True)
class Price:
    """What a model's maker asks.

    Attributes:
        name: Of the model.
        tokenizer: "gpt2", "cl100k", "o200k" or "smollm2".
        input_per_million: Price of a million tokens read, in `currency`.
        output_per_million: Price of a million tokens written.
        currency: "USD".
        source: Where the price was found.
        as_of: The day on which it was found there; the table's date where the entry names none.
    """

    name: str
    tokenizer: str
    input_per_million: float
    output_per_million: float
    currency: str
    source: str
    as_of: datetime.date


TOKENIZERS = ("gpt2", "cl100k", "o200k", "smollm2")


@dataclass(frozen=True, slots=True)
class PriceTable:
    """Prices as they were on a date."""

    date: datetime.date
    prices: tuple[Price, ...]


def price(tokens: int, per_million: float) -> float:
    """What so many tokens cost at a price per million.

    >>> price(1500, 2.0)
    0.003
    """
    return tokens * per_million / 1_000_000


def load_prices(path: Path | None = None) -> PriceTable:
    """The price table of a file; without one, that which comes with the app.

    Raises:
        LabError: The file is missing, no TOML, or an entry is wrong; the line or the entry is named.
    """
    if path is not None:
        return read_prices(read_text(path, PRICES_AT_MOST), path.name)
    shipped = importlib.resources.files("resources") / "tokenizer" / "prices.toml"
    return read_prices(shipped.read_text(encoding="utf-8"), "prices.toml")


def read_prices(toml: str, name: str) -> PriceTable:
    """The price table that a TOML text holds; `name` is the file's, for messages.

    Raises:
        LabError: No TOML, or an entry is wrong; the line or the entry is named.
    """
    try:
        table = tomllib.loads(toml)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise LabError(
            f"{name} is not a TOML file: {error}.", "Mend that line, or restore the file."
        ) from None
    date = _date(table.get("date"), name, "Give it a line like: date = 2026-01-31")
    entries = table.get("price")
    if not isinstance(entries, list) or not entries:
        raise LabError(f"{name} holds no price.", "Add at least one entry that begins with [[price]].")
    common = {"currency": table.get("currency"), "as_of": date}
    return PriceTable(date, tuple(_price(entry, common, i, name) for i, entry in enumerate(entries, start=1)))


def _date(value: Any, where: str, remedy: str) -> datetime.date:
    try:
        return value if isinstance(value, datetime.date) else datetime.date.fromisoformat(str(value))
    except ValueError:
        raise LabError(f"{where} has date = {value!r}.", remedy) from None


def _price(entry: Any, common: dict[str, Any], number: int, file: str) -> Price:
    """One entry; what it does not say, the head of the table does."""
    values = common | (entry if isinstance(entry, dict) else {})
    where = f"Entry {number} of {file}"
    for key in ("name", "tokenizer", "currency", "source"):
        if not isinstance(values.get(key), str) or not values[key].strip():
            raise LabError(f"{where} has {key} = {values.get(key)!r}.", f"Give it a {key} in quotes.")
    where += f" ({values['name']})"
    if values["tokenizer"] not in TOKENIZERS:
        raise LabError(
            f"{where} has tokenizer = {values['tokenizer']!r}.", f"It can be {', '.join(TOKENIZERS)}."
        )
    return Price(
        name=values["name"],
        tokenizer=values["tokenizer"],
        input_per_million=_amount(values, "input_per_million", where),
        output_per_million=_amount(values, "output_per_million", where),
        currency=values["currency"],
        source=values["source"],
        as_of=_date(values["as_of"], where, "Give it a line like: as_of = 2026-01-31"),
    )


def _amount(values: dict[str, Any], key: str, where: str) -> float:
    value = values.get(key)
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 1e12:
        return float(value)
    raise LabError(f"{where} has {key} = {value!r}.", "Give it a number, 0 or more.")
