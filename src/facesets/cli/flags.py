"""Make flags from declared options, and options from the given flags."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, is_dataclass, replace
from inspect import Parameter, Signature, signature
from pathlib import Path
from types import NoneType
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar, get_args, get_origin

import typer

from facesets.operations.options.declaration import Declared, declared, option_in
from facesets.settings import ENVIRONMENT_PREFIX

if TYPE_CHECKING:
    from _typeshed import DataclassInstance


Options = TypeVar("Options", bound="DataclassInstance")

_METAVARS = {int: "N", float: "N", str: "NAME", Path: "FILE"}
"""The name of a value in help, by its type, if the option has none."""

ADVANCED = "Advanced options"
"""The heading of options that only experts set."""


@dataclass(frozen=True, slots=True)
class Only:
    """The only option fields that a command takes: `Annotated[RefineOptions, Only("min_faces")]`."""

    names: tuple[str, ...]

    def __init__(self, *names: str) -> None:
        object.__setattr__(self, "names", names)


@dataclass(frozen=True, slots=True)
class _Group:
    """A parameter of a command that stands for several flags."""

    kind: "type[DataclassInstance]"
    options: tuple[Declared, ...]

    def made(self, values: Mapping[str, Any]) -> "DataclassInstance":
        return self.kind(**{each.field: _value(each, values[each.name]) for each in self.options})


def with_flags(command: Callable[..., None], path: str = "") -> Callable[..., None]:
    """Give a command a flag for each option that its parameters declare.

    A parameter may be an option, such as `again: Annotated[bool, Option("…")] = False`, or stand for all
    options of a dataclass, such as `options: RefineOptions`: the command gets these as one. By its path, such
    as `people show`, its options are known in the environment.
    """
    own = signature(command).parameters
    groups = {name: group for name, each in own.items() if (group := _group(each.annotation)) is not None}
    singles = {name: each for name, each in own.items() if name not in groups}
    options = [each for group in groups.values() for each in group.options]
    options += [each for name, parameter in singles.items() if (each := _single(name, parameter)) is not None]
    by_name = {each.name: each for each in options}
    flags: dict[str, Parameter] = {}
    for name, parameter in own.items():
        inside = [each.name for each in groups[name].options] if name in groups else [name]
        flags |= {each: _parameter(by_name[each], path) if each in by_name else parameter for each in inside}

    def run(**values: Any) -> None:  # noqa: ANN401 - whatever flags hold
        made = {name: group.made(values) for name, group in groups.items()}
        given = {
            name: checked(by_name[name], values[name]) if name in by_name else values[name]
            for name in singles
        }
        command(**given, **made)

    return signed(run, command, sorted(flags.values(), key=lambda each: _is_last(by_name.get(each.name))))


def signed(
    run: Callable[..., None], command: Callable[..., None], parameters: list[Parameter]
) -> Callable[..., None]:
    """Return a function that stands in for a command, with its name and these parameters."""
    run.__name__, run.__doc__ = command.__name__, command.__doc__
    run.__annotations__ = {each.name: each.annotation for each in parameters}
    run.__signature__ = Signature(  # type: ignore[attr-defined]
        [each.replace(kind=Parameter.KEYWORD_ONLY) for each in parameters]
    )
    return run


def options_of(kind: type[Options], values: Mapping[str, Any]) -> Options:
    """Make options from flags of the same names; fields without a flag keep their defaults."""
    options = tuple(each for each in declared(kind) if each.name in values)
    return _Group(kind, options).made(values)  # type: ignore[return-value]


def unless_given(context: typer.Context, options: Options, values: Mapping[str, Any]) -> Options:
    """Return the options with these values for fields that neither a flag nor a setting sets."""
    names = {each.name for each in declared(type(options))}
    unset = {name: value for name, value in values.items() if name in names and _is_default(context, name)}
    return replace(options, **unset)


def _is_default(context: typer.Context, name: str) -> bool:
    source = context.get_parameter_source(name)
    return source is None or source.name == "DEFAULT"


def _group(annotation: object) -> _Group | None:
    kind, names = annotation, None
    if get_origin(annotation) is Annotated:
        kind, *rest = get_args(annotation)
        names = next((each.names for each in rest if isinstance(each, Only)), None)
    if not isinstance(kind, type) or not is_dataclass(kind):
        return None
    return _Group(kind, tuple(each for each in declared(kind) if names is None or each.field in names))


def _single(name: str, parameter: Parameter) -> Declared | None:
    option = option_in(parameter.annotation)
    if option is None:
        return None
    default = parameter.default
    return Declared(name, get_args(parameter.annotation)[0], option, default)


def declared_by(parameter: Parameter) -> Declared | None:
    """Return the declared parameter of a flag; None if it is Typer's own."""
    of = get_args(parameter.annotation) if get_origin(parameter.annotation) is Annotated else ()
    return next((each for each in of if isinstance(each, Declared)), None)


def _is_last(each: Declared | None) -> bool:
    return each is not None and each.option.last


def variable(path: str, name: str) -> str:
    """Return the environment variable of a command's option, by one of its names."""
    return "_".join((ENVIRONMENT_PREFIX, path, name.lstrip("-"))).upper().replace("-", "_").replace(" ", "_")


def _variables(each: Declared, path: str) -> list[str] | None:
    """Return the environment variables of an option; None if the name in code is the only one."""
    if each.option.variable or not path:
        return each.option.variable.split() or None
    flags = [flag.partition("/")[0] for flag in (*each.shown, *each.option.synonyms.split())]
    found = dict.fromkeys(variable(path, name) for name in (*flags, each.name))
    return list(found) if len(found) > 1 else None


def _parameter(each: Declared, path: str) -> Parameter:
    """Return the parameter that Typer makes a flag of."""
    option, kind, default = each.option, each.kind, each.default
    if option.parse is not None:
        kind, default = str | None, None if isinstance(default, tuple) else default
    elif get_origin(kind) is tuple:
        kind, default = list[get_args(kind)[0]] | None, None  # type: ignore[misc]
    info = typer.Option(
        *each.shown,
        help=_help(each),
        metavar=option.metavar or _METAVARS.get(_value_kind(kind)),
        envvar=_variables(each, path),
        show_envvar=bool(option.variable),
        hidden=option.hidden,
        # Typer shows the default of a switch by its two names; the help text has all others.
        show_default=kind is bool,
        rich_help_panel=ADVANCED if option.advanced else None,
    )
    return Parameter(
        each.name,
        Parameter.KEYWORD_ONLY,
        default=default,
        annotation=Annotated[kind, info, each],
    )


def _value_kind(kind: Any) -> Any:  # noqa: ANN401 - a type or a form of one
    """Return the type of one value: `int` for `int | None` and for `list[int] | None`."""
    kinds = [each for each in get_args(kind) if each is not NoneType]
    return _value_kind(kinds[0]) if kinds and get_origin(kind) is not Literal else kind


def _help(each: Declared) -> str:
    """Return the text of an option, with its range and its default."""
    silent = each.kind is bool or each.default is Parameter.empty
    default = "" if silent else each.default_text()
    facts = [each.option.range(), f"default: {default}" if default else ""]
    known = "; ".join(fact for fact in facts if fact)
    return f"{each.option.help} [{known}]" if known else each.option.help


def checked(each: Declared, given: Any) -> Any:  # noqa: ANN401 - whatever flags hold
    """Convert a flag's value to an option's, checking it. Raises `WrongUsage`."""
    value = _value(each, given)
    each.option.check(each.flag, value)
    return value


def _value(each: Declared, given: Any) -> Any:  # noqa: ANN401 - whatever flags hold
    """Convert a flag's value to an option's."""
    if each.option.parse is not None and given is not None:
        return each.option.parse(each.flag, given)
    if get_origin(each.kind) is tuple:
        return tuple(given or (each.default if each.option.parse is not None else ()))
    return given


def typed_flags(context: typer.Context) -> set[str]:
    """Return the names of flags given on the command line, not by the environment or facesets.toml."""
    sources = {name: context.get_parameter_source(name) for name in context.params}
    return {name for name, source in sources.items() if source is not None and source.name == "COMMANDLINE"}
