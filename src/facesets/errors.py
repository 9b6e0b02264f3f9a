"""Every error that a user can cause, each with the exit status that it ends the program with.

    FacesetsError                 1
    ├── WrongUsage                2   the command line or a file it names does not fit
    │   ├── MissingModelPack      2
    │   ├── RecognizerMismatch    2
    │   ├── NewerFormat           2
    │   ├── SchemaOutdated        2
    │   ├── NotFound              2   no person or object has this name
    │   ├── Changed               2   another user changed it since it was seen
    │   ├── MissingExtra          2
    │   └── BrokenLibrary         2   a library that the program needs cannot be loaded
    ├── Unreachable               2   something that the command depends on does not answer
    │   ├── SourceGone            2
    │   └── ServiceFailed         -   a service failed for one picture; tried again next time
    ├── DamagedFile               1   one of our own files cannot be read
    ├── CannotWrite               1   the disk is full, or permission is missing
    ├── CannotInfer               1   a model does not run on this machine
    ├── UnreadableImage           -   one picture; recorded with its reason, never ends a run
    ├── UnreadableXmp             -   one file's XMP; recorded as well
    └── AlreadyRunning            75  another run holds the lock, or another program the port

An error's message is one plain sentence: the problem, and what to do. It holds the options and commands that
it names as data: a terminal words an option as a flag, a browser as a field. Programming
errors are not in this tree: they surface as tracebacks.
"""

import os
import re
import shlex
from collections.abc import Iterable
from dataclasses import dataclass
from importlib import import_module
from typing import ClassVar, Self

from facesets.installation import EXTRAS, adding, lacks_extra, repairing


def quoted(word: str) -> str:
    """Quote a word for a shell of this system, if needed."""
    if os.name != "nt":
        return shlex.quote(word)
    # PowerShell makes a list of words with commas, and looks for variables unless the quotes are single ones.
    if re.fullmatch(r"[\w+=:./\\-]+", word, re.ASCII):
        return word  # There, a backslash only separates folders.
    if re.search(r"[$`]", word) and "'" not in word:
        return f"'{word}'"
    # Backslashes before a quotation mark, also before the one at the end, are doubled.
    return '"' + re.sub(r'(\\+)($|")', r"\1\1\2", word).replace('"', '\\"') + '"'


def typed(words: Iterable[str]) -> str:
    """Format a command of another program for a shell."""
    return " ".join(map(quoted, words))


@dataclass(frozen=True)
class Field:
    """An option by the name of its field, such as `det_size`, with its current or proposed value."""

    name: str
    value: str = ""

    def __str__(self) -> str:
        """The field's name and the value."""
        return f"{self.name} {self.value}" if self.value else self.name

    @property
    def flag(self) -> str:
        """The option as it is typed."""
        flag = f"--{self.name.replace('_', '-')}"
        return f"{flag} {quoted(self.value)}" if self.value else flag

    def __format__(self, _spec: str) -> str:
        """Mark it for a `Sentence` in f-strings."""
        return f"\x02{self.name}\x1f{self.value}\x03"


@dataclass(frozen=True, init=False)
class Command:
    """A command by its name, such as `models pull`, with its arguments, quoted for a shell."""

    name: str
    arguments: "tuple[str | Field, ...]"

    def __init__(self, name: str, *arguments: str | Field) -> None:
        """Take the arguments in their order."""
        object.__setattr__(self, "name", name)
        object.__setattr__(self, "arguments", arguments)

    def __str__(self) -> str:
        """The command without the program's name."""
        arguments = (quoted(each) if isinstance(each, str) else str(each) for each in self.arguments)
        return f"`{' '.join((self.name, *arguments))}`"

    @property
    def line(self) -> str:
        """The command as it is typed."""
        arguments = (quoted(each) if isinstance(each, str) else each.flag for each in self.arguments)
        return " ".join(("facesets", self.name, *arguments))

    def __format__(self, _spec: str) -> str:
        """Mark it for a `Sentence` in f-strings."""
        return "\x04" + "\x1e".join([self.name, *map(format, self.arguments)]) + "\x05"


_REFERENCE = re.compile("(\x02[^\x03]*\x03|\x04[^\x05]*\x05)")
"""Matches a field or a command in an f-string. `printable` removes such characters from users' words."""


class Sentence(str):
    """A text that knows which of its parts are fields and commands.

    It is made from an f-string that contains them, and may be part of another one.
    """

    parts: "tuple[str | Field | Command, ...]"

    def __new__(cls, text: str) -> Self:
        """Find the fields and commands."""
        pieces = enumerate(_REFERENCE.split(f"{text}"))
        parts = tuple(_reference(piece) if place % 2 else piece for place, piece in pieces if piece)
        sentence = super().__new__(cls, "".join(map(str, parts)))
        sentence.parts = parts
        return sentence

    def __format__(self, _spec: str) -> str:
        """Mark it for another `Sentence` in f-strings."""
        return "".join(map(format, self.parts))


def _reference(piece: str) -> Field | Command:
    if piece.startswith("\x02"):
        return _field(piece)
    name, *arguments = piece[1:-1].split("\x1e")
    return Command(name, *(_field(each) if each.startswith("\x02") else each for each in arguments))


def _field(piece: str) -> Field:
    name, _, value = piece[1:-1].partition("\x1f")
    return Field(name, value)


class FacesetsError(Exception):
    """Base of all errors that carry a sentence for the user."""

    exit_status: ClassVar[int] = 1

    def __init__(self, sentence: str) -> None:
        """Take the message, with its fields and commands."""
        super().__init__(Sentence(sentence))

    @property
    def sentence(self) -> Sentence:
        """The message."""
        return Sentence(self.args[0])

    def __format__(self, _spec: str) -> str:
        """Mark its sentence for another one in f-strings."""
        return f"{self.sentence}"


class WrongUsage(FacesetsError):
    """The request is inconsistent or invalid."""

    exit_status = 2


class MissingModelPack(WrongUsage):
    """No model pack of that name was found and none could be fetched."""


class RecognizerMismatch(WrongUsage):
    """Vectors of two recognizers would have been compared."""


class NewerFormat(WrongUsage):
    """A file was written by a later version of this program."""


class SchemaOutdated(WrongUsage):
    """The database does not have the tables that this version of the program works on."""


class NotFound(WrongUsage):
    """The requested object does not exist, or no longer exists."""


class Changed(WrongUsage):
    """Someone else changed this since it was seen."""


class MissingExtra(WrongUsage):
    """An optional part of the program is not installed."""

    def __init__(self, extra: str) -> None:
        super().__init__(f"This requires the extra {extra}. Install it: `{typed(adding(extra))}`.")


def require_extra(extra: str) -> None:
    """Check that an optional part of the program is installed completely. Raises `MissingExtra`."""
    try:
        if lacks_extra(extra):
            raise ModuleNotFoundError(extra)
        # Torch takes seconds to load, but training needs it in any case.
        for module in EXTRAS[extra] if extra != "train" else ():
            import_module(module)
    except ImportError as error:
        raise MissingExtra(extra) from error


class BrokenLibrary(WrongUsage):
    """A library that the program needs cannot be loaded as it is installed."""

    def __init__(self, module: str, reason: object) -> None:
        super().__init__(f"Cannot load {module} ({reason}). Repair it: `{typed(repairing(module))}`.")


class Unreachable(FacesetsError):
    """A server or a mount does not answer."""

    exit_status = 2


class SourceGone(Unreachable):
    """The folder of photos disappeared while it was being read."""


class ServiceFailed(Unreachable):
    """An inference service failed for one picture at every try."""


class DamagedFile(FacesetsError):
    """A file of this program is damaged."""


class CannotWrite(FacesetsError):
    """A result could not be written."""


class CannotInfer(FacesetsError):
    """A model cannot be loaded or run."""


class UnreadableImage(FacesetsError):
    """One picture cannot be decoded. The reason is recorded and the run continues."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class UnreadableXmp(FacesetsError):
    """A file's XMP cannot be read. The reason is recorded and the run continues."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"Cannot read the XMP: {reason}.")
        self.reason = reason


class AlreadyRunning(FacesetsError):
    """Another run holds the lock, or another program the port."""

    exit_status = 75
