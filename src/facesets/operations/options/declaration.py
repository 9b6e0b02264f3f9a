"""Options, each declared once, with the field that holds its value.

They become flags, environment variables, keys of facesets.toml, help, the manual and docs/cli.md.
"""

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from datetime import date, datetime, time
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar, get_type_hints

from facesets.errors import WrongUsage
from facesets.files import printable

if TYPE_CHECKING:
    from _typeshed import DataclassInstance


@dataclass(frozen=True, slots=True)
class Option:
    """An option's data, in addition to its type and default: `size: Annotated[int, Option(…)] = 5`.

    Attributes
    ----------
    help : str
        Its meaning, in one or two sentences.
    least, most : float or None
        Its limits as a number; None for no limit.
    unset : str
        The default in words, if the default value alone does not show it.
    flag : str
        Its names on the command line, if they differ from the field's: `--include-hidden/--exclude-hidden`,
        or `--under --target` for two with the same meaning. It also has these names in the environment and
        in facesets.toml.
    synonyms : str
        Further such names, mostly former ones, which help does not show.
    name : str
        Its name for users, if it differs from the field's.
    variable : str
        Its environment variables, separated by spaces, if not named after command and flag; the first that
        is set counts.
    metavar : str
        The name of its value in help, if the type alone does not show it.
    parse : function or None
        Return the value for the flag and the given text.
    last : bool
        Whether help lists it after the options that are particular to a command.
    advanced : bool
        Whether only experts set it: help lists it under a separate heading.
    hidden : bool
        Whether help leaves it out, because other options replace it.
    """

    help: str
    least: float | None = None
    most: float | None = None
    unset: str = ""
    flag: str = ""
    synonyms: str = ""
    name: str = ""
    variable: str = ""
    metavar: str = ""
    parse: Callable[[str, str], Any] | None = None
    last: bool = False
    advanced: bool = False
    hidden: bool = False

    def range(self) -> str:
        """Return the allowed numbers in words; empty for any sensible number."""
        if self.most is not None:
            return f"{_digits(self.least or 0)} to {_digits(self.most)}"
        return f"{_digits(self.least)} or more" if self.least else ""

    def check(self, flag: str, value: object) -> None:
        """Refuse a number out of range, by the name of its flag. Raises `WrongUsage`."""
        check_number(flag, value, self.least, self.most)


def check_number(flag: str, value: object, least: float | None, most: float | None) -> None:
    """Refuse a number outside of its limits, by the name of its flag. Raises `WrongUsage`."""
    if least is None or not isinstance(value, int | float):
        return
    if not least <= value <= (float("inf") if most is None else most):
        limits = f"between {least} and {most}" if most is not None else f"{least} or more"
        raise WrongUsage(f"{flag} must be {limits}, not {value}.")


def _digits(number: float) -> str:
    return str(number) if isinstance(number, int) else f"{number:g}"


@dataclass(frozen=True, slots=True)
class Declared:
    """A field that is an option: its name, its type, and its data."""

    field: str
    kind: Any
    option: Option
    default: Any

    @property
    def name(self) -> str:
        """Return the name for users."""
        return self.option.name or self.field

    @property
    def shown(self) -> list[str]:
        """Return the names on the command line that help shows: `--under`, or `--sheet/--no-sheet`."""
        return self.option.flag.split() or [f"--{self.name.replace('_', '-')}"]

    @property
    def flag(self) -> str:
        """Return the name in messages: the first name on the command line."""
        return self.shown[0].partition("/")[0]

    def default_text(self) -> str:
        """Return the default in words; empty for none."""
        return self.option.unset or ("" if self.default in (None, ()) else str(self.default))


@cache
def declared(kind: "type[DataclassInstance]") -> tuple[Declared, ...]:
    """Return the options among the fields of a dataclass."""
    hints = get_type_hints(kind, include_extras=True)
    return tuple(
        Declared(field.name, hints[field.name].__origin__, option, field.default)
        for field in fields(kind)
        if (option := option_in(hints[field.name])) is not None
    )


def option_in(annotation: object) -> Option | None:
    """Return the option that an annotation declares, if any."""
    return next((each for each in getattr(annotation, "__metadata__", ()) if isinstance(each, Option)), None)


def check_ranges(options: "DataclassInstance") -> None:
    """Refuse numbers out of range. Raises `WrongUsage`."""
    for each in declared(type(options)):
        each.option.check(each.flag, getattr(options, each.field))


class Checked:
    """Options that raise `WrongUsage` for numbers out of range."""

    __slots__ = ()

    def __post_init__(self) -> None:
        check_ranges(self)  # type: ignore[arg-type]


def moment(flag: str, text: str, at: time = time.min) -> datetime:
    """Read a time; a date alone means the time `at` on that day.

    Raises
    ------
    WrongUsage
        The text is not a time.
    """
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise WrongUsage(f"{flag} {printable(text)} is not a date. Give one such as 2024-05-01.") from error
    return found if "T" in text or " " in text else datetime.combine(found.date(), at)


def day(flag: str, text: str) -> date:
    """Read a day; errors as `moment`."""
    return moment(flag, text).date()


def number_or_auto(flag: str, text: str) -> float | None:
    """Read a number, or None for `auto`.

    Raises
    ------
    WrongUsage
        The text is neither.
    """
    if text == "auto":
        return None
    try:
        return float(text)
    except ValueError as error:
        raise WrongUsage(f"{flag} {text} is neither a number nor auto.") from error


def whole_number_or_auto(flag: str, text: str) -> int | None:
    """Read a whole number, or None for `auto`; errors as `number_or_auto`."""
    number = number_or_auto(flag, text)
    if number is not None and not number.is_integer():
        raise WrongUsage(f"{flag} {text} is neither a whole number nor auto.")
    return None if number is None else int(number)


Options = TypeVar("Options", bound="DataclassInstance")


@dataclass(frozen=True, slots=True)
class CentroidDistance(Option):
    """An option whose default is `usual`, or less if the recognizer needs it."""

    usual: float = 0.0


def centroid_distance(text: str, *, usual: float, flag: str = "", synonyms: str = "") -> CentroidDistance:
    """Declare an option of a `CentroidDistance` by its help."""
    unset = f"{usual:.2f}, or 0.40 with the open pack"
    return CentroidDistance(text, least=0, most=2, unset=unset, usual=usual, flag=flag, synonyms=synonyms)


def for_recognizer(options: Options, recognizer: str) -> Options:
    """Return the options for a recognizer, by its file name; given values stay."""
    # The package imports SciPy, which help texts do not need.
    from facesets.clustering.known_recognizers import known_recognizer

    most = known_recognizer(recognizer).max_from_centroid
    return replace(
        options,
        **{
            each.field: min(each.option.usual, most)
            for each in declared(type(options))
            if isinstance(each.option, CentroidDistance) and getattr(options, each.field) is None
        },
    )


def settled(distance: float | None) -> float:
    """Return a distance that `for_recognizer` has set. Raises ValueError if it is not set yet."""
    if distance is None:
        raise ValueError("the value depends on the recognition model, which is not known yet")
    return distance
