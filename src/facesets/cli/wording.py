"""The session of this run, and sentences worded for the terminal."""

import re
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from typer.main import get_command

from facesets import settings
from facesets.errors import Command, Field, Sentence


@dataclass
class ConsoleSession:
    """The session of this run of the program, set by the options that all commands share."""

    json: bool = False
    debug: bool = False
    quiet: bool = False
    verbose: bool = False
    only_result: bool = False
    queue: bool = False
    doing: str = ""
    database: str = ""
    began: float = 0.0
    stopped_by: int = 0
    summary: object = None
    reported: dict[str, None] = field(default_factory=dict)

    @property
    def terse(self) -> bool:
        """Whether to leave out progress and remarks."""
        return not self.verbose and (self.quiet or self.only_result)


session = ConsoleSession()


# Sentences mention it as a run in progress, not as a command to type.
_ADVICE = re.compile("(?<!nother `)(?<=`)facesets [^`]+(?=`)")


def worded(sentence: str) -> str:
    """Return a sentence as the user of a terminal reads it; plain text as it is."""
    text = "".join(map(_worded, Sentence(sentence).parts))
    if not session.database:
        return text
    return _ADVICE.sub(lambda line: with_library(line[0], session.database), text)


def with_library(line: str, database: str) -> str:
    """Return a command line with the library that was named, if the command takes one.

    A placeholder replaces a name that contains a password.
    """
    is_usual = database == settings.load().database
    if not database or is_usual or "--database" in line or not _takes_library(line.split()[1:]):
        return line
    from facesets.store.postgres.server.tools import holds_secret

    return f"{line} {Field('database', 'URL' if holds_secret(database) else database).flag}"


@cache
def _commands() -> Any:  # noqa: ANN401 - typer's own kind
    from facesets.cli.app import app

    return get_command(app)


def _takes_library(words: list[str]) -> bool:
    command = _commands()
    for word in words:
        command = getattr(command, "commands", {}).get(word, command)
    return any(param.name == "database" for param in command.params)


def _worded(part: str | Field | Command) -> str:
    if isinstance(part, Field):
        return part.flag
    if isinstance(part, Command):
        return f"`{part.line}`"
    return part
