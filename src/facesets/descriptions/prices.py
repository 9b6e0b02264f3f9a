"""Prices of models: a dated table, which the user's settings can override."""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from functools import cache
from importlib.resources import files
from typing import Any

from facesets.errors import WrongUsage
from facesets.files import printable

_MILLION = Decimal(1_000_000)
_BATCH_FACTOR = Decimal("0.5")
_REGIONAL_FACTOR = Decimal("1.1")
"""Price factor of Amazon Bedrock's models that stay within a region."""
_CACHE_READ, _CACHE_WRITE = Decimal("0.1"), Decimal(2)
"""Default maximum price of cached input, as a share of uncached."""
_FIELDS = frozenset({"input", "output", "cache_read", "cache_write", "batch", "effort", "picture_tokens"})
_BEDROCK_NAME = re.compile(
    r"^(?:(?P<region>[a-z]{2,6})\.)?anthropic\.(?P<model>claude-[a-z0-9-]+?)(?:-v\d+(?::\d+)?)?$"
)
_DATED = re.compile(r"-\d{8}$")


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of a question and its answer; `input` excludes those read from or written to a cache."""

    input: int = 0
    output: int = 0
    cache_read: int = 0
    cache_write: int = 0


@dataclass(frozen=True, slots=True)
class Price:
    """Price in US dollars per million tokens; in a batch everything costs `batch` times as much."""

    input: Decimal
    output: Decimal
    cache_read: Decimal
    cache_write: Decimal
    batch: Decimal = _BATCH_FACTOR

    def cost(self, usage: Usage, *, in_batch: bool) -> Decimal:
        """Return the exact cost of a usage."""
        dollars = (
            usage.input * self.input
            + usage.output * self.output
            + usage.cache_read * self.cache_read
            + usage.cache_write * self.cache_write
        ) / _MILLION
        return dollars * (self.batch if in_batch else 1)

    def as_json(self) -> dict[str, str]:
        """Return the price as JSON values for a database."""
        return {name: str(getattr(self, name)) for name in self.__slots__}

    @classmethod
    def from_json(cls, value: Mapping[str, str]) -> "Price":
        """Return the price that `as_json` returned."""
        return cls(**{name: Decimal(number) for name, number in value.items()})


@dataclass(frozen=True, slots=True)
class Model:
    """A model by its name, with its known properties.

    Attributes
    ----------
    price : Price or None
        None if it is unknown.
    priced_on : str
        The date of the price, or its source.
    effort : bool
        Whether its reasoning can be limited.
    picture_tokens : int or None
        Maximum tokens of a picture; None for models that count by area, as Anthropic's do.
    """

    name: str
    price: Price | None = None
    priced_on: str = ""
    effort: bool = False
    picture_tokens: int | None = None


FREE = Price(Decimal(0), Decimal(0), Decimal(0), Decimal(0))


def model_named(name: str, own: Mapping[str, Any]) -> Model:
    """Return a model, priced by the user's settings or else by the table.

    Parameters
    ----------
    own : mapping of name to prices
        As in facesets.toml.

    Raises
    ------
    WrongUsage
        The settings give the model an invalid price.
    """
    listed, regional = _in_table(name)
    entry = _table()["models"].get(listed, {})
    effort = bool(entry.get("effort", False))
    if name in own:
        price, given = _price(name, own[name]), own[name]
        pictures = given.get("picture_tokens")
        return Model(
            name,
            price,
            "by your settings",
            bool(given.get("effort", effort)),
            None if pictures is None else int(pictures),
        )
    if not entry:
        return Model(name)
    factor = _REGIONAL_FACTOR if regional else Decimal(1)
    return Model(name, _price(name, entry, factor), f"as of {price_date().isoformat()}", effort)


def price_date() -> date:
    """Return the date of the table."""
    found = _table()["date"]
    if not isinstance(found, date):
        raise TypeError("the table of prices has a date")
    return found


def _in_table(name: str) -> tuple[str, bool]:
    """Return a model's name in the table, and whether it is bound to a region."""
    bedrock = _BEDROCK_NAME.match(name.rpartition("/")[2])
    regional = bedrock is not None and bedrock["region"] != "global"
    return _DATED.sub("", bedrock["model"] if bedrock else name), regional


def _price(name: str, entry: object, factor: Decimal = Decimal(1)) -> Price:
    where = f'[describe.prices."{printable(name)}"]'
    if not isinstance(entry, Mapping) or not {"input", "output"} <= entry.keys() <= _FIELDS:
        raise WrongUsage(
            f"{where} in facesets.toml needs input and output, in dollars a million tokens, and may have "
            "cache_read, cache_write, batch, effort and picture_tokens."
        )
    numbers = {key: value for key, value in entry.items() if key != "effort"}
    if not all(type(value) in (int, float) and 0 <= value < 1e6 for value in numbers.values()):
        raise WrongUsage(f"{where} in facesets.toml has something other than numbers of dollars.")
    given = {key: Decimal(str(value)) * factor for key, value in numbers.items()}
    return Price(
        given["input"],
        given["output"],
        given.get("cache_read", given["input"] * _CACHE_READ),
        given.get("cache_write", given["input"] * _CACHE_WRITE),
        Decimal(str(numbers.get("batch", _BATCH_FACTOR))),
    )


@cache
def _table() -> dict[str, Any]:
    return tomllib.loads(files("facesets.descriptions").joinpath("prices.toml").read_text("utf-8"))
