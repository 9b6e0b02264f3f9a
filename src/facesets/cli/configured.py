"""What the environment and facesets.toml say of commands that another command stands for."""

import dataclasses
from inspect import signature
from typing import Any

import typer
from typer.core import TyperArgument

from facesets.cli import console
from facesets.cli.flags import checked, declared_by


def configured(context: typer.Context, command: str) -> typer.Context:
    """Another command as it would be called without any flag: by the environment and facesets.toml."""
    group = context.parent
    if group is None:
        raise ValueError("a command that stands for others belongs to the app")
    before = dataclasses.replace(console.session)
    part = group.command.get_command(group, command)  # type: ignore[attr-defined]
    words = ["-"] if any(isinstance(each, TyperArgument) and each.required for each in part.params) else []
    try:
        made: typer.Context = part.make_context(command, words, parent=group)
    finally:
        # Reading a command's flags sets how the program talks.
        for each in dataclasses.fields(before):
            setattr(console.session, each.name, getattr(before, each.name))
    return made


def configured_flags(context: typer.Context, command: str) -> dict[str, Any]:
    """What the flags of another command are if none is given: from the environment and facesets.toml."""
    return dict(configured(context, command).params)


def configured_value(context: typer.Context, name: str) -> Any:  # noqa: ANN401 - whatever flags hold
    """One option of a command that is `configured`, as that command gets it."""
    callback = context.command.callback
    if callback is None:
        raise ValueError("a group of commands has no options of its own")
    each = declared_by(signature(callback).parameters[name])
    given = context.params[name]
    return given if each is None else checked(each, given)
