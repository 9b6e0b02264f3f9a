"""Command lines that are read as the program reads them, without running anything."""

import re
import shlex
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any

from typer.main import get_command

from facesets.cli.app import app

_OPERATORS = {";", "&&", "||", "|", "&", "(", ")", ">", ">>", "<", "2>", "2>>"}


@cache
def _command_tree() -> Any:
    return get_command(app)


def commands() -> dict[str, Any]:
    """Every command of the program by what one types, such as `models pull`."""
    found: dict[str, Any] = {}
    for name, command in _command_tree().commands.items():
        below = getattr(command, "commands", None)
        if below is None:
            found[name] = command
        else:
            found.update({f"{name} {sub}": each for sub, each in below.items()})
    return found


def parse(words: Sequence[str]) -> dict[str, Any]:
    """The values that a command would be called with. Raises what the program would end with."""
    command: Any = _command_tree()
    context = command.make_context("facesets", [], resilient_parsing=True)
    # Those before the command act at once, such as --install-completion.
    flags = {option for param in command.get_params(context) for option in param.opts}
    context.resilient_parsing = False
    left, name = list(words), ""
    while left and left[0].startswith("-"):
        assert left.pop(0) in flags, shlex.join(words)
    while left and hasattr(command, "commands"):
        name = left.pop(0)
        assert name in command.commands, f"no command: facesets {shlex.join(words)}"
        command = command.commands[name]
    if not name or "-h" in left:
        return {}
    return dict(command.make_context(name, left, parent=context).params)


def command_lines(text: str) -> Iterator[list[str]]:
    """The words after `facesets` of every command line in blocks and backquotes of a Markdown text."""
    text = re.sub(r"\\\n\s*", "", text)
    blocks = re.findall(r"^(?:    |\$ )(.*)$", text, re.MULTILINE)
    fences = re.findall(r"```\w*\n(.*?)```", text, re.DOTALL)
    fenced = [line for block in fences for line in block.splitlines()]
    inline = [re.sub(r"\s+", " ", piece) for piece in re.findall(r"`([^`]+)`", text)]
    for line in (*blocks, *fenced, *inline):
        if "facesets " not in line or "…" in line:
            continue
        words: list[str] = []
        lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
        lexer.whitespace_split = True
        for word in (*lexer, ";"):
            if word not in _OPERATORS:
                words.append(word)
                continue
            start = words.index("facesets") + 1 if "facesets" in words else None
            if start is not None and words[start:] and words[start] != "COMMAND":
                yield words[start:]
            words = []
