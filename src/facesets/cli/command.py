"""Common behavior of all commands: parsing, help, and how they end."""

import time
from collections.abc import Callable, Mapping
from inspect import Parameter, signature
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperArgument, TyperCommand, TyperGroup, TyperOption
from typer.main import get_command_from_info
from typer.models import ArgumentInfo, CommandInfo

from facesets.cli import console, queueing
from facesets.cli.flags import ADVANCED, signed, with_flags
from facesets.cli.guide import GROUPS, GUIDE
from facesets.cli.next_step import last_lines
from facesets.cli.params import DebugOption, JsonOption, QueueOption
from facesets.cli.spellings import one_value_each, read_synonyms, refuse_two_variables, synonyms_of
from facesets.errors import Command
from facesets.files import printable
from facesets.installation import with_pages
from facesets.settings import load

if TYPE_CHECKING:
    from typer._click import Command as AnyCommand
    from typer._click import Context, HelpFormatter
    from typer._click import Parameter as AnyParameter
    from typer._click.parser import _OptionParser as OptionParser

WIDEST_HELP = 120
"""Columns; longer lines are hard to read."""

_MAKE = "make_flags"

SETTINGS = {"help_option_names": ["-h", "--help"], "max_content_width": WIDEST_HELP}

QuietOption = Annotated[
    bool, typer.Option("--quiet", "-q", help="Print only warnings, errors and requested output.")
]
VerboseOption = Annotated[
    bool, typer.Option("--verbose", "-v", help="Print more: what is used, and how long it takes.")
]


def _plain(refusal: str) -> str:
    """Reword pydantic's message about a text that is not a number for users."""
    if "valid integer" in refusal:
        return "give a whole number, such as 12."
    return "give a number, such as 0.5." if "valid number" in refusal else refusal


class ExampleCommand(TyperCommand):
    """A command with examples, whose repeatable options take several values at a time.

    Its flags are made on first use: making those of all commands takes longer than printing the help.
    """

    @property
    def params(self) -> "list[AnyParameter]":
        """Return the flags and arguments."""
        self._make()
        return self._params

    @params.setter
    def params(self, params: "list[AnyParameter]") -> None:
        self._params = params

    @property
    def callback(self) -> Callable[..., Any] | None:
        """Return the function to call with them."""
        self._make()
        return self._callback

    @callback.setter
    def callback(self, callback: Callable[..., Any] | None) -> None:
        self._callback = callback

    def _make(self) -> None:
        make = getattr(self._callback, _MAKE, None)
        if make is not None:
            made = get_command_from_info(
                CommandInfo(self.name, callback=make()), pretty_exceptions_short=False, rich_markup_mode=None
            )
            self._params, self._callback = made.params, made.callback

    def parse_args(self, ctx: "Context", args: list[str]) -> list[str]:
        """Read the words of a command line."""
        words = list(one_value_each(self, args))
        try:
            given = self._given(ctx, words)
            self._refuse_contradictions(ctx, given)
            rest = super().parse_args(ctx, list(words))
        except typer.BadParameter as error:
            # Typer checks values by pydantic, and passes its messages on.
            path, message = ctx.command_path.partition(" ")[2], error.message
            # An error without a message is a missing argument, which Typer names.
            is_missing = not message and path in GUIDE
            if is_missing:
                error.param_hint = self._required(error.param)
            example = f"For example: `{GUIDE[path].examples[0].partition('  #')[0]}`." if is_missing else ""
            error.message = example or _plain(message.removeprefix("Value error, "))
            raise
        except Exception as error:
            # Typer has no name for the class of errors for unknown options.
            from facesets.cli.misplaced import explain_misplaced

            explain_misplaced(ctx, error)
            raise
        if "" in words:
            self._refuse_empty_paths(ctx, given)
        return rest

    def make_parser(self, ctx: "Context") -> "OptionParser":
        """Return the parser, which accepts hidden names, too."""
        parser = super().make_parser(ctx)
        read_synonyms(parser, self)
        return parser

    def _required(self, missing: "AnyParameter | None") -> str | None:
        """Return the missing argument to name: `OUT` of `[CACHE] OUT`, as a single argument is OUT."""
        names = [name for name, _ in self._arguments()]
        name = missing.display_name_raw if isinstance(missing, TyperArgument) else ""
        if not name.startswith("["):
            return None
        return next((f"'{each}'" for each in names if not each.startswith("[")), None)

    def _given(self, ctx: "Context", words: list[str]) -> dict[str, Any]:
        """Return the value of each parameter on the command line; for an option all values in order."""
        parser = self.make_parser(ctx)
        keeping_all = {"store": "append", "store_const": "append_const"}
        for option in (*parser._short_opt.values(), *parser._long_opt.values()):
            option.action = keeping_all.get(option.action, option.action)
        given, _, _ = parser.parse_args(args=list(words))
        return given

    def _refuse_contradictions(self, ctx: "Context", given: dict[str, Any]) -> None:
        """Refuse several values for a single-value option: all except the last would be ignored silently."""
        if "help" in given:
            return
        for param in self.params:
            if param.name not in given:
                refuse_two_variables(ctx, param)
            is_single = isinstance(param, TyperOption) and not param.multiple
            if is_single and len(set(given.get(param.name or "", ()))) > 1:
                names = [*param.opts, *synonyms_of(self).get(param.name or "", ())]
                same = f" ({' and '.join(names)} mean the same)" if len(names) > 1 else ""
                raise typer.BadParameter(
                    f"given more than once with different values{same}. Give it once.",
                    ctx=ctx,
                    param=param,  # type: ignore[arg-type]
                )

    def _refuse_empty_paths(self, ctx: "Context", given: dict[str, Any]) -> None:
        """Refuse empty paths: an unset variable of a shell must not mean the current folder."""
        for param in self.params:
            texts, paths = (
                value if isinstance(value, list | tuple) else [value]
                for value in (given.get(param.name), ctx.params.get(param.name))
            )
            if "" in texts and any(isinstance(path, Path) for path in paths):
                raise typer.BadParameter("is empty; use . for this folder", ctx=ctx, param=param)  # type: ignore[arg-type]

    def collect_usage_pieces(self, ctx: "Context") -> list[str]:  # noqa: ARG002 - Typer's signature
        """Return required options, then arguments; optional arguments are in brackets."""
        required = [
            f"{param.opts[0]} {param.metavar or 'VALUE'}"
            for param in self.params
            if isinstance(param, TyperOption) and param.required
        ]
        return [*required, "[OPTIONS]", *(name for name, _ in self._arguments())]

    def _arguments(self) -> list[tuple[str, str]]:
        return [
            (param.display_name_raw, param.help or "")
            for param in self.params
            if isinstance(param, TyperArgument)
        ]

    def format_options(self, ctx: "Context", formatter: "HelpFormatter") -> None:
        """Write arguments and options, one below the other."""
        if arguments := self._arguments():
            with formatter.section("Arguments"):
                formatter.write_dl(arguments)
        _write_options(self, ctx, formatter)

    def format_help_text(self, ctx: "Context", formatter: "HelpFormatter") -> None:
        """Write what the command does."""
        self.help = with_pages(self.help or "")
        super().format_help_text(ctx, formatter)

    def format_epilog(self, ctx: "Context", formatter: "HelpFormatter") -> None:
        """Write examples, and the meaning of exit statuses."""
        path = ctx.command_path.split(" ", 1)[-1]
        if path in GUIDE:
            with formatter.section("Examples"):
                for example in GUIDE[path].examples:
                    formatter.write(f"{'':{formatter.current_indent}}{example}\n")
        super().format_epilog(ctx, formatter)


class HeadedGroup(TyperGroup):
    """A group whose help lists commands below headings, each with its whole first sentence."""

    def format_options(self, ctx: "Context", formatter: "HelpFormatter") -> None:
        """Write options, then commands."""
        _write_options(self, ctx, formatter)
        self.format_commands(ctx, formatter)

    def format_commands(self, ctx: "Context", formatter: "HelpFormatter") -> None:
        """List the commands; those of the program itself below the headings of `GROUPS`."""
        shown = {name: each for name, each in self.commands.items() if not each.hidden}
        if ctx.parent is not None:
            _write_section(formatter, "Commands", shown)
            return
        headings = heading_of()
        for heading in GROUPS:
            below = [name for name in headings if headings[name] == heading and name in shown]
            _write_section(formatter, heading, {name: shown[name] for name in below})


def _write_options(command: "AnyCommand", ctx: "Context", formatter: "HelpFormatter") -> None:
    records: dict[str, list[tuple[str, str]]] = {"Options": [], ADVANCED: []}
    for param in command.get_params(ctx):
        if isinstance(param, TyperOption):
            # Variables named by the rule are left out: they would be half of the text.
            param.show_envvar = param.show_envvar and param.envvar is not None
            if record := param.get_help_record(ctx):
                heading = param.rich_help_panel or "Options"
                records[heading].append((record[0], with_pages(record[1])))
    for heading, rows in records.items():
        if rows:
            with formatter.section(heading):
                formatter.write_dl(rows)


def heading_of() -> dict[str, str]:
    """Return the heading of each command in the program's help, in the order of the list."""
    return {path.split(" ")[0]: entry.group for path, entry in GUIDE.items()}


def _write_section(formatter: "HelpFormatter", heading: str, commands: "dict[str, AnyCommand]") -> None:
    with formatter.section(heading):
        formatter.write_dl([(name, first_sentence(each.help or "")) for name, each in commands.items()])


def first_sentence(text: str) -> str:
    """Return the first sentence of a help text."""
    return " ".join(text.partition("\n\n")[0].split()).partition(". ")[0].rstrip(".") + "."


def prepare(app: typer.Typer, path: str = "") -> None:
    """Give every command its common behavior: help, -q and -v, and its last lines."""
    for info in app.registered_commands:
        if info.callback is None:
            continue
        name = info.name or info.callback.__name__.replace("_", "-")
        # psql has its own -q and -v.
        is_anothers = bool((info.context_settings or {}).get("ignore_unknown_options"))
        info.cls = ExampleCommand
        info.callback = _made_later(f"{path}{name}", info.callback, is_anothers=is_anothers)
    for group in app.registered_groups:
        group.cls = HeadedGroup
        if group.typer_instance is not None:
            prepare(group.typer_instance, f"{group.name} ")


SHARED = {"json": JsonOption, "debug": DebugOption, "quiet": QuietOption, "verbose": VerboseOption}
"""Flags of every command. Parsing the first two sets what the program prints."""


def _made_later(path: str, command: Callable[..., None], *, is_anothers: bool) -> Callable[..., None]:
    """Return a stand-in for a command, which is replaced by the command with flags on first use."""

    def make() -> Callable[..., None]:
        flagged = with_flags(command, path)
        return flagged if is_anothers else _with_shared_flags(path, flagged)

    def stand_in() -> None:
        """Do nothing: the command replaces this function when its flags are made."""

    stand_in.__name__, stand_in.__doc__ = command.__name__, command.__doc__
    setattr(stand_in, _MAKE, make)
    return stand_in


def _with_shared_flags(path: str, command: Callable[..., None]) -> Callable[..., None]:
    flags = SHARED | ({"queue": QueueOption} if path in queueing.commands() else {})
    shared = [
        Parameter(name, Parameter.KEYWORD_ONLY, default=False, annotation=annotation)
        for name, annotation in flags.items()
    ]

    def run(**values: Any) -> None:  # noqa: ANN401 - whatever flags hold
        verbosity = {name: values.pop(name) for name in flags}
        typed = Command(path, *_arguments(command, values)).line
        named = values.get("database") or ""
        console.set_verbosity(
            quiet=verbosity["quiet"], verbose=verbosity["verbose"], doing=typed, database=named
        )
        if console.session.verbose and (file := load().file):
            console.detail(f"Settings: {printable(file)}")
        began = time.monotonic()
        try:
            command(**values)
        except typer.Exit as end:
            if end.exit_code == console.STATUS_FAILED_INPUTS:
                _close(path, values, began)
            raise
        _close(path, values, began)

    return signed(run, command, [*signature(command).parameters.values(), *shared])


def _arguments(command: Callable[..., None], values: Mapping[str, Any]) -> list[str]:
    """Return the arguments of a command, without flags, whose values may not belong in a log."""
    given = [
        values.get(name)
        for name, each in signature(command).parameters.items()
        if any(isinstance(fact, ArgumentInfo) for fact in getattr(each.annotation, "__metadata__", ()))
    ]
    every = [one for each in given for one in (each if isinstance(each, list | tuple) else [each])]
    return [printable(str(one)) for one in every if one is not None]


def _close(path: str, values: dict[str, Any], began: float) -> None:
    """Name the contact sheet and the next step, if the output is watched."""
    console.detail(f"{path}: {time.monotonic() - began:.1f} s in total.")
    step = GUIDE[path].next_step if path in GUIDE else None
    for line in last_lines(path, step, values, console.session.summary):
        console.aside(line)
