"""Render templates, and word sentences for a page instead of a terminal."""

from functools import cache
from pathlib import Path
from typing import Annotated, Any

from fastapi import Query, Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from facesets import __version__
from facesets.ages import about
from facesets.errors import Command, Field, Sentence
from facesets.files import name_parts, printable
from facesets.imaging.metadata.record import exposure
from facesets.plurals import counted
from facesets.words.phrases import ASSIGNED_BY, thresholds

_HERE = Path(__file__).parent
STATIC = _HERE / "static"
_PAGES = {"people list": "the People page"}
"""Commands that a page replaces."""


Part = Annotated[bool, Query(description="Return only the part, not a page of its own.")]
"""The parameter with which scripts request the part of `render_part`."""


def csrf_of(request: Request) -> str:
    """Return the token that pages send with changes."""
    return str(request.scope.get("state", {}).get("csrf", ""))


def render(request: Request, template: str, *, status: int = 200, **values: Any) -> HTMLResponse:
    """Return a page from a template, with all values escaped."""
    text = (
        _environment()
        .get_template(template)
        .render(
            csrf=csrf_of(request),
            path=request.scope["path"],
            navigation=request.app.state.navigation,
            version=__version__,
            **values,
        )
    )
    return HTMLResponse(text, status_code=status)


def render_part(
    request: Request, template: str, *, is_part: bool, title: str, back: str, back_to: str, **values: Any
) -> HTMLResponse:
    """Return a part for an existing page, or a page of its own around it with a link back."""
    if is_part:
        return render(request, template, is_part=True, **values)
    frame: dict[str, Any] = {"title": title, "back": back, "back_to": back_to, "part": template}
    return render(request, "framed.html", is_part=False, **frame, **values)


def compile_templates() -> None:
    """Compile all templates, so that no visitor waits for it."""
    environment = _environment()
    for name in environment.list_templates():
        environment.get_template(name)


def commands(sentence: str) -> list[tuple[str, bool]]:
    """Return the parts of a sentence, each with whether it is a command (between backticks)."""
    parts = sentence.split("`")
    if len(parts) % 2 == 0:
        return [(sentence, False)]
    return [(part, place % 2 == 1) for place, part in enumerate(parts)]


def worded(sentence: str) -> str:
    """Return a sentence with options named as fields and commands as they are typed."""
    text = ""
    for part in Sentence(sentence).parts:
        words = _worded(part)
        text += words[0].upper() + words[1:] if isinstance(part, Command) and text.endswith(". ") else words
    return text


def _worded(part: str | Field | Command) -> str:
    if isinstance(part, Field):
        words = part.name.replace("_", " ")
        return f"{words} {part.value}" if part.value else words
    if isinstance(part, Command) and part.name in _PAGES:
        return _PAGES[part.name]
    if isinstance(part, Command):
        return f"`{part.line}`"
    return part


def _counted(count: int, one: str, many: str | None = None) -> str:
    """Format a count as `counted` does, with thin spaces in large numbers."""
    number, _, noun = counted(count, one, many).partition(" ")
    return f"{_number(int(number))} {noun}"


def _number(count: int) -> str:
    return f"{count:,}".replace(",", "\u202f")


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(_HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["about"] = about
    environment.filters["assigned"] = lambda how: ASSIGNED_BY.get(how, how)
    environment.filters["commands"] = commands
    environment.filters["counted"] = _counted
    environment.filters["exposure"] = exposure
    environment.filters["number"] = _number
    environment.filters["name_parts"] = name_parts
    environment.filters["printable"] = printable
    environment.filters["thresholds"] = thresholds
    return environment
