"""The options of commands that the environment and `facesets.toml` set."""

import dataclasses
from inspect import signature
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import typer
from typer.core import TyperArgument

from facesets.cli import console
from facesets.cli.flags import checked, declared_by
from facesets.cli.spellings import synonyms_of
from facesets.errors import WrongUsage
from facesets.files import printable

if TYPE_CHECKING:
    from typer._click import Command as AnyCommand

    from facesets.settings import Settings


def by_parameter(program: "AnyCommand", settings: "Settings") -> dict[str, dict[str, Any]]:
    """Return the settings of a configuration file under the names of flags in code.

    Unknown names are refused: otherwise a typo would have no effect, silently.

    Raises
    ------
    WrongUsage
        There is no such command or flag, or its value is invalid.
    """
    flags = settings.flags
    commands = program.commands if flags else {}  # type: ignore[attr-defined]
    found: dict[str, dict[str, Any]] = {}
    file = printable(settings.file or "facesets.toml")
    for command, values in flags.items():
        params = commands[command].params if command in commands else []
        synonyms = synonyms_of(commands[command]) if params else {}
        known = {
            _flag(option): param
            for param in params
            for option in (param.name, *param.opts, *synonyms.get(param.name, ()))
        }
        found[command] = {}
        keys: dict[str, str] = {}
        for flag in values if known else [command]:
            key = flag.replace("_", "-")
            if flag not in known:
                place = f"[{command}] {key}" if known else f"[{command}]"
                see = f"facesets {command} --help" if known else "facesets --help"
                raise WrongUsage(f"facesets.toml has no setting {place}. See `{see}`.")
            param, value = known[flag], values[flag]
            is_list = getattr(param, "multiple", False) or param.nargs == -1
            value = [value] if is_list and isinstance(value, str) else value
            # Typer's own, missing in some versions: then Typer itself reports invalid values.
            declared = getattr(param, "type_descriptor", None)
            if declared and (has_to_be := _refused(declared.annotation, key, value)):
                raise WrongUsage(f"`{key}` under [{command}] in {file} must be {has_to_be}.")
            if param.name in keys:
                keys_given = f"`{keys[param.name]}` and `{key}`"
                raise WrongUsage(f"{keys_given} under [{command}] in {file} mean the same. Give only one.")
            found[command][param.name], keys[param.name] = value, key
    return found


def _refused(kind: Any, key: str, value: object) -> str:  # noqa: ANN401 - whatever a flag is declared as
    """Return the requirement that a value does not meet; empty if it is valid."""
    several = get_args(kind) if getattr(kind, "__origin__", None) is list else ()
    if several:
        may_be = str if several[0] is Path else str | int
        is_right = isinstance(value, list) and all(isinstance(each, may_be) for each in value)
        return "" if is_right else f'a list of strings: {key} = ["…"]'
    if kind is bool:
        return "" if isinstance(value, bool | str) else "true or false"
    if kind is Path:
        return "" if isinstance(value, str) else f'a string: {key} = "…"'
    return f"a single value: {key} = …" if isinstance(value, list | dict) else ""


def _flag(option: str) -> str:
    return option.lstrip("-").replace("-", "_")


def configured(context: typer.Context, command: str) -> typer.Context:
    """Return the context of another command without flags: environment and facesets.toml apply."""
    group = context.parent
    if group is None:
        raise ValueError("a command that stands for others belongs to the app")
    before = dataclasses.replace(console.session)
    part = group.command.get_command(group, command)  # type: ignore[attr-defined]
    words = ["-"] if any(isinstance(each, TyperArgument) and each.required for each in part.params) else []
    try:
        made: typer.Context = part.make_context(command, words, parent=group)
    finally:
        # Parsing a command's flags sets what the program prints.
        for each in dataclasses.fields(before):
            setattr(console.session, each.name, getattr(before, each.name))
    return made


def configured_flags(context: typer.Context, command: str) -> dict[str, Any]:
    """Return the flags of another command if none is given: from the environment and facesets.toml."""
    return dict(configured(context, command).params)


def configured_value(context: typer.Context, name: str) -> Any:  # noqa: ANN401 - whatever flags hold
    """Return one option of a `configured` command, as that command gets it."""
    callback = context.command.callback
    if callback is None:
        raise ValueError("a group of commands has no options of its own")
    each = declared_by(signature(callback).parameters[name])
    given = context.params[name]
    return given if each is None else checked(each, given)
