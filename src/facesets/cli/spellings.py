"""The names of an option: those that help shows, and hidden ones with the same meaning."""

import os
from collections.abc import Iterator, Sequence
from inspect import signature
from itertools import islice
from typing import TYPE_CHECKING

import typer
from typer.core import TyperArgument, TyperOption

from facesets.cli.flags import declared_by

if TYPE_CHECKING:
    from typer._click import Command as AnyCommand
    from typer._click import Context
    from typer._click import Parameter as AnyParameter
    from typer._click.parser import _OptionParser as OptionParser


def synonyms_of(command: "AnyCommand") -> dict[str, list[str]]:
    """Return the hidden names of a command's options, by the options' names in code."""
    if command.callback is None:
        return {}
    declared = ((name, declared_by(each)) for name, each in signature(command.callback).parameters.items())
    return {name: each.option.synonyms.split() for name, each in declared if each and each.option.synonyms}


def read_synonyms(parser: "OptionParser", command: "AnyCommand") -> None:
    """Let a parser take hidden names for the options that they mean."""
    shown = {param.name: param.opts[0] for param in command.params}
    for name, synonyms in synonyms_of(command).items():
        for synonym in synonyms:
            parser._long_opt[synonym] = parser._long_opt[shown[name]]


def refuse_two_variables(context: "Context", param: "AnyParameter") -> None:
    """Refuse an option whose two names in the environment have different values.

    Names that other programs use, too, are excepted: of these the first counts.
    """
    names = [param.envvar] if isinstance(param.envvar, str) else param.envvar or ()
    own = [name for name in names if name.startswith(f"{context.auto_envvar_prefix}_")]
    given = [name for name in own if os.environ.get(name)]
    if len({os.environ[name] for name in given}) > 1:
        raise typer.BadParameter(
            f"{' and '.join(given)} mean the same, with different values. Set only one.",
            ctx=context,
            param=param,  # type: ignore[arg-type]
        )


def one_value_each(command: "AnyCommand", words: Sequence[str]) -> Iterator[str]:
    """Read `--target A B` as `--target A --target B`, because a shell expands `--target *` so.

    Only for commands without arguments, or if the option replaces the arguments: else B is an argument.
    """
    arguments = {param.name for param in command.params if isinstance(param, TyperArgument)}
    is_option_of_folders = any(word.partition("=")[0] == "--target" for word in words)
    if arguments and not (arguments == {"folders"} and is_option_of_folders):
        yield from words
        return
    synonyms = synonyms_of(command)
    taking = {
        name: param
        for param in command.params
        if isinstance(param, TyperOption) and not param.is_flag
        for name in (*param.opts, *synonyms.get(param.name, ()))
    }
    again = ""
    left = iter(words)
    for word in left:
        if word == "--":
            yield from (word, *left)
        elif word.startswith("-"):
            name, equals, _ = word.partition("=")
            option = taking.get(name)
            again = name if option is not None and option.multiple else ""
            yield word
            if option is not None and not equals:
                yield from islice(left, 1)
        else:
            yield from (again, word) if again else (word,)
