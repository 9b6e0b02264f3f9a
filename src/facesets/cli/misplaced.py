"""Advice on an option that a command does not take."""

import re
from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from typer.core import TyperArgument, TyperOption

from facesets.cli.guide import GUIDE
from facesets.cli.spellings import synonyms_of
from facesets.settings import ENVIRONMENT_PREFIX

if TYPE_CHECKING:
    from typer._click import Command as AnyCommand
    from typer._click import Context

_PHOTOS = frozenset({"target", "targets", "photos", "src", "source", "folder", "dir"})
"""Names of the photo folder in the commands."""

_NEVER_SET = frozenset(
    {"queue", "dry-run", "database", "profile", "stage", "assign", "alone", "strict", "force"}
)
"""Options that no settings hold, or that such a command has for itself."""

_NOT_TAKEN: Mapping[tuple[str, str], frozenset[str]] = {
    ("run", "cluster"): frozenset(
        {
            *("dual", "full", "engine", "shards", "max-faces", "min-quality", "min-size", "person-threshold"),
            *("time-bucket", "dual-max-faces", "unknown-method", "unknown-eps", "unknown-min-size"),
        }
    ),
    ("run", "extend"): frozenset({"refine-out"}),
    ("pipeline", "index"): frozenset({"delete"}),
    ("pipeline", "cluster"): frozenset({"materialize", "replace", "sheet"}),
    ("pipeline", "train"): frozenset({"list", "activate", "deactivate"}),
}
"""Options of the second command that the first one, which runs it, does not have."""

_WITHOUT_ARGUMENT = {
    "pipeline": ' Without one, targets = ["PHOTOS"] under [pipeline] in facesets.toml is used.'
}
"""Note on the missing argument, by command."""

_MAX_NAMED = 3
_MIN_SPELLING = 0.85
"""Minimum similarity of a typing error to the option: one letter of seven may differ."""


def nearly(command: "AnyCommand", option: str) -> list[str]:
    """Return the options of a command that are spelled like an unknown one."""
    shown = {param.name: param.opts[0] for param in command.params}
    name_of = {each: shown[name] for name, synonyms in synonyms_of(command).items() for each in synonyms}
    found = get_close_matches(option, sorted(_of(command) | name_of.keys()), cutoff=_MIN_SPELLING)
    return list(dict.fromkeys(name_of.get(each, each) for each in found))


def explain_misplaced(context: "Context", error: Any) -> None:  # noqa: ANN401 - Typer's own
    """Add to the error for an unknown option what to use instead."""
    message, option = getattr(error, "message", ""), getattr(error, "option_name", "")
    if not (message.startswith("No such option") and option.startswith("--")):
        return
    near = nearly(context.command, option)
    advice = "" if near else advice_for(context, option)
    # Without distant matches if the intended option is known.
    error.possibilities = near or (None if advice else error.possibilities)
    if advice:
        error.message = f"{message}{'' if message.endswith('.') else '.'} {advice}"


def advice_for(context: "Context", option: str) -> str:
    """Return what to use instead of an unknown option; empty if no command has it."""
    name = option.lstrip("-")
    command = context.command_path.partition(" ")[2]
    arguments = [each for each in context.command.params if isinstance(each, TyperArgument)]
    if shown := _matching_argument(arguments, name):
        usage = " ".join(each.metavar or "" for each in arguments)
        note = _WITHOUT_ARGUMENT.get(command, "")
        return f"{shown} is an argument, not an option: `facesets {command} {usage}`.{note}"
    having = [path for path, options in _options(context.find_root()) if option in options]
    key = name.removeprefix("no-")
    standing = [
        path
        for path in (GUIDE[command].stands_for if command in GUIDE else ())
        if path in having and key not in _NOT_TAKEN.get((command, path), ())
    ]
    if standing and name not in _NEVER_SET:
        variable = f"{ENVIRONMENT_PREFIX}_{standing[0]}_{key}".upper().replace("-", "_")
        return (
            f"It is an option of `{standing[0]}`, which `{command}` reads from the settings: {key} = … "
            f"under [{standing[0]}] in facesets.toml, or {variable}=… in the environment."
        )
    if not having:
        return ""
    named = [f"`facesets {path}`" for path in having[:_MAX_NAMED]]
    *first, last = [*named, "others"] if len(having) > _MAX_NAMED else named
    return f"It is an option of {' and '.join([', '.join(first), last] if first else [last])}."


def _matching_argument(arguments: "Sequence[TyperArgument]", name: str) -> str:
    """Return the argument that an option's name matches; empty for none."""
    for each in arguments:
        shown = (each.metavar or "").strip("[].")
        words = set(re.findall("[a-z]+", shown.casefold()))
        if name in words or (name in _PHOTOS and words & _PHOTOS):
            return shown
    return ""


def _options(root: "Context") -> Iterator[tuple[str, set[str]]]:
    """Return each command by its typed name, with its options; groups come last."""
    groups: list[tuple[str, AnyCommand]] = []
    for name, command in root.command.commands.items():  # type: ignore[attr-defined]
        if hasattr(command, "commands"):
            groups += [
                (f"{name} {each}", below) for each, below in command.commands.items() if not below.hidden
            ]
        else:
            yield name, _of(command)
    yield from ((path, _of(command)) for path, command in groups)


def _of(command: "AnyCommand") -> set[str]:
    return {
        option
        for each in command.params
        if isinstance(each, TyperOption) and not each.hidden
        for option in (*each.opts, *each.secondary_opts)
    }
