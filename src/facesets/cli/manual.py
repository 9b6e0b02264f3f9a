"""The manual page, made of the commands' own help: `python -m facesets.cli.manual`, or `scripts/man`."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from typer.core import TyperArgument, TyperOption
from typer.main import get_command

from facesets.cli import console
from facesets.cli.app import app
from facesets.cli.guide import GROUPS, GUIDE
from facesets.cli.params import EPILOG, SETTINGS_NOTE
from facesets.settings import ENVIRONMENT_PREFIX

if TYPE_CHECKING:
    from typer._click import Context


def manual() -> str:
    """The page as roff source, in which every command has its section."""
    root, context = program()
    lines = [
        '.TH FACESETS 1 "" facesets "User commands"',
        ".SH NAME",
        "facesets \\- organise a photo library by the people in it",
        ".SH SYNOPSIS",
        ".B facesets",
        "[OPTIONS] COMMAND [ARGS]...",
        ".SH DESCRIPTION",
        _roff(root.help),
        ".SH OPTIONS",
        *_options(root, context),
    ]
    for heading in GROUPS:
        lines.append(f".SH {_roff(heading).upper()}")
        for path, entry in GUIDE.items():
            if entry.group == heading:
                lines += _command(path, entry.examples, root, context)
    lines += [".SH SETTINGS", _roff(SETTINGS_NOTE), ".SH EXIT STATUS", _roff(EPILOG.partition(": ")[2])]
    return "\n".join(lines) + "\n"


def program() -> "tuple[Any, Context]":
    """The program as it reads a command line that is empty."""
    root: Any = get_command(app)
    context = root.make_context("facesets", [], resilient_parsing=True, auto_envvar_prefix=ENVIRONMENT_PREFIX)
    return root, context


def command_at(path: str, root: Any, context: "Context") -> "tuple[Any, Context]":  # noqa: ANN401 - Typer's own
    """The command that one types so, such as `models pull`."""
    command = root
    for name in path.split():
        command = command.commands[name]
        context = command.make_context(name, [], parent=context, resilient_parsing=True)
    return command, context


def _command(
    path: str,
    examples: tuple[str, ...],
    root: Any,  # noqa: ANN401 - Typer's own
    context: "Context",
) -> Iterator[str]:
    command, context = command_at(path, root, context)
    usage = " ".join(command.collect_usage_pieces(context))
    yield f'.SS "facesets {_roff(path)} {_roff(usage)}"'
    for paragraph in (command.help or "").split("\n\n"):
        yield from (_roff(" ".join(paragraph.split())), ".PP")
    for param in command.params:
        if isinstance(param, TyperArgument):
            yield from (
                ".TP",
                f".I {_roff(param.display_name_raw)}",
                _roff(param.help) if param.help else "\\&",
            )
    yield from _options(command, context)
    yield from (".PP", "Examples:", ".nf", *(f".RS 4\n{_roff(example)}\n.RE" for example in examples), ".fi")


def _options(command: Any, context: "Context") -> Iterator[str]:  # noqa: ANN401 - Typer's own
    for param in command.get_params(context):
        if isinstance(param, TyperOption):
            param.show_envvar = param.envvar is not None
            names, text = param.get_help_record(context) or ("", "")
            yield from (".TP", f".B {_roff(names)}", _roff(" ".join(text.split())))


def _roff(text: str) -> str:
    """Text in which nothing is a command of roff."""
    escaped = text.replace("\\", "\\e").replace("-", "\\-")
    return f"\\&{escaped}" if escaped.startswith((".", "'")) else escaped


if __name__ == "__main__":
    console.out(manual().removesuffix("\n"))
