"""The manual page and docs/cli.md, made of what the commands declare: `scripts/man` writes both."""

import re
import sys
from collections.abc import Iterator, Sequence
from inspect import Parameter, signature
from typing import TYPE_CHECKING, Any

from typer.core import TyperArgument, TyperOption
from typer.main import get_command

from facesets.cli import console
from facesets.cli.app import app
from facesets.cli.command import SHARED
from facesets.cli.flags import declared_by
from facesets.cli.guide import GROUPS, GUIDE
from facesets.cli.params import EXIT_STATUSES, SETTINGS_NOTE
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
        *_roff_options(root, context),
    ]
    for heading in GROUPS:
        lines.append(f".SH {_roff(heading).upper()}")
        for path, entry in GUIDE.items():
            if entry.group == heading:
                lines += _roff_section(path, entry.examples, root, context)
    lines += [
        ".SH SETTINGS",
        _roff(SETTINGS_NOTE),
        ".SH EXIT STATUS",
        _roff(EXIT_STATUSES.partition(": ")[2]),
    ]
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


def _roff_section(
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
    yield from _roff_options(command, context)
    yield from (".PP", "Examples:", ".nf", *(f".RS 4\n{_roff(example)}\n.RE" for example in examples), ".fi")


def _roff_options(command: Any, context: "Context") -> Iterator[str]:  # noqa: ANN401 - Typer's own
    for param in command.get_params(context):
        if isinstance(param, TyperOption):
            param.show_envvar = param.envvar is not None
            names, text = param.get_help_record(context) or ("", "")
            yield from (".TP", f".B {_roff(names)}", _roff(" ".join(text.split())))


def _roff(text: str) -> str:
    """Text in which nothing is a command of roff."""
    escaped = text.replace("\\", "\\e").replace("-", "\\-")
    return f"\\&{escaped}" if escaped.startswith((".", "'")) else escaped


_HEAD = """\
# Commands and options

<!-- Written by scripts/man from the program itself: change what it declares, not this file. -->

A flag wins over the environment, and the environment over `facesets.toml`, as [settings](settings.md) says.
"""


def reference() -> str:
    """The page as Markdown, in which every command has its section."""
    root, context = program()
    shared = [row[:2] for row in _rows("", *command_at("refine", root, context), shared=True)]
    lines = [_HEAD, SETTINGS_NOTE, ""]
    lines += ["## Options of every command", "", *_table(("Option", "Meaning"), shared), ""]
    for heading in GROUPS:
        lines += [f"## {heading}", ""]
        for path in (path for path, entry in GUIDE.items() if entry.group == heading):
            lines += _section(path, *command_at(path, root, context))
    exit_status = EXIT_STATUSES.partition(": ")[2]
    return "\n".join([*lines, "## Exit status", "", f"{exit_status[0].upper()}{exit_status[1:]}", ""])


def _section(path: str, command: Any, context: "Context") -> Iterator[str]:  # noqa: ANN401 - Typer's own
    usage = " ".join(command.collect_usage_pieces(context))
    yield from (f"### facesets {path}", "", f"**facesets {path}** {usage}", "")
    for paragraph in (command.help or "").split("\n\n"):
        yield from (" ".join(paragraph.split()), "")
    yield from (*(f"    {example}" for example in GUIDE[path].examples), "")
    arguments = [
        (f"`{param.display_name_raw}`", param.help or "")
        for param in command.params
        if isinstance(param, TyperArgument)
    ]
    if arguments:
        yield from (*_table(("Argument", "Meaning"), arguments), "")
    if rows := list(_rows(path, command, context, shared=False)):
        yield from _table(("Option", "Meaning", "Default", "Range", "Environment", "facesets.toml"), rows)
        yield ""


def _rows(path: str, command: Any, context: "Context", *, shared: bool) -> Iterator[tuple[str, ...]]:  # noqa: ANN401 - Typer's own
    parameters = signature(command.callback).parameters
    for param in command.params:
        if not isinstance(param, TyperOption) or (param.name in SHARED) != shared:
            continue
        names, _ = param.get_help_record(context) or ("", "")
        given = [param.envvar] if isinstance(param.envvar, str) else param.envvar
        variables = given or [f"{context.auto_envvar_prefix}_{param.name}".upper()]
        # A table of the file is a command's, not that of a group such as `models`.
        key = f"`{param.opts[0].lstrip('-')}`" if " " not in path else ""
        variable = ", ".join(f"`{each}`" for each in variables)
        yield (f"`{names}`", *_facts(param, parameters[param.name]), variable, key)


def _facts(param: Any, parameter: Parameter) -> tuple[str, str, str]:  # noqa: ANN401 - Typer's own
    """What an option means, its default and its range."""
    each = declared_by(parameter)
    if each is None:
        text, default = re.fullmatch(r"(.*?)(?: \[default: ([^\]]*)\])?", param.help, re.DOTALL).groups()  # type: ignore[union-attr]
        return text, default or ("required" if param.required else ""), ""
    usual = str(each.default).lower() if each.kind is bool else each.usual()
    return each.option.help, "required" if param.required else usual, each.option.range()


def _table(headings: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> Iterator[str]:
    for row in (headings, ("---",) * len(headings), *rows):
        yield f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |"


if __name__ == "__main__":
    page = {"facesets.1": manual, "cli.md": reference}[sys.argv[1]]()
    console.out(page.removesuffix("\n"))
