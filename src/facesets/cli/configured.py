"""What the environment and facesets.toml say of commands that another command stands for."""

import dataclasses
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

import typer

from facesets.cli import console

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Options = TypeVar("Options", bound="DataclassInstance")


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


def options_with(
    base: Options,
    flags: Mapping[str, Any],
    *,
    only: Collection[str] = (),
    **own: Any,  # noqa: ANN401 - values of any field
) -> Options:
    """Options with those flags that are among them and have a value, and with values of one's own.

    Parameters
    ----------
    only : collection of str
        Names of the flags that count; all, if there are none. `dry_run` never does.
    """
    known = {each.name for each in dataclasses.fields(base)} - {"dry_run"}
    chosen = known.intersection(only or known)
    values = {name: value for name, value in flags.items() if name in chosen and value is not None}
    return dataclasses.replace(base, **{**values, **own})
