"""What the environment and facesets.toml say of commands that another command stands for."""

import dataclasses
from typing import Any

import typer

from facesets.cli import console


def configured_flags(context: typer.Context, command: str) -> dict[str, Any]:
    """What the flags of another command are if none is given: from the environment and facesets.toml."""
    group = context.parent
    if group is None:
        raise ValueError("a command that stands for others belongs to the app")
    before = dataclasses.replace(console.session)
    part = group.command.get_command(group, command)  # type: ignore[attr-defined]
    try:
        params: dict[str, Any] = part.make_context(command, ["-"], parent=group).params
    finally:
        # Reading a command's flags sets how the program talks.
        for each in dataclasses.fields(before):
            setattr(console.session, each.name, getattr(before, each.name))
    return dict(params)
