"""Categories of tags as a TOML file: one table a category, as docs/photos.md describes them."""

import json
import re
import tomllib
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

from facesets.errors import WrongUsage
from facesets.files import printable
from facesets.library_records import TagCategory, TagWord

_KEYS = ("target", "mode", "min_confidence", "templates", "none", "words")
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}")
_USUAL_NONE = ("none of these",)
_MAX_BYTES = 1 << 20
_MAX_CATEGORIES, _MAX_WORDS, _MAX_TEXTS, _MAX_LENGTH = 100, 2_000, 200, 200


def read_tag_file(path: Path) -> list[TagCategory]:
    """Read the categories of a file.

    Raises
    ------
    WrongUsage
        It cannot be read, or has an error; the message names the place.
    """
    named = printable(path)
    try:
        with path.open("rb") as file:
            data = file.read(_MAX_BYTES + 1)
    except OSError as error:
        raise WrongUsage(
            f"{named} cannot be read: {error.strerror or error}. Name a file of tag categories."
        ) from error
    if len(data) > _MAX_BYTES:
        raise WrongUsage(f"{named} is larger than 1 MB. Name a file of tag categories.")
    try:
        content = tomllib.loads(data.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise WrongUsage(f"{named} is not TOML: {printable(str(error))}. Correct it.") from error
    return _categories(content, named)


def shipped_categories() -> list[TagCategory]:
    """Return the shipped categories."""
    text = files("facesets.operations.library").joinpath("shipped_tags.toml").read_text("utf-8")
    return _categories(tomllib.loads(text), "shipped_tags.toml")


def as_toml(categories: Sequence[TagCategory]) -> str:
    """Return categories as the text of such a file."""
    return "\n".join(_category_as_toml(each) for each in categories)


def _category_as_toml(category: TagCategory) -> str:
    lines = [
        f"[{category.name}]",
        f"target = {_toml(category.target)}",
        f"mode = {_toml(category.selection_mode)}",
        f"min_confidence = {category.min_confidence!r}",
        f"templates = {_toml(list(category.templates))}",
        f"none = {_toml(list(category.none_of_these))}",
        "",
        f"[{category.name}.words]",
        *(f"{_toml(word.name)} = {_toml(list(word.phrases))}" for word in category.words),
    ]
    return "\n".join(lines) + "\n"


def _toml(value: str | list[str]) -> str:
    # JSON's strings and arrays are valid TOML, except for one control character that JSON does not escape.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _categories(content: Mapping[str, Any], file: str) -> list[TagCategory]:
    if not content:
        raise WrongUsage(f"{file} has no category. Add one as [name], with words below [name.words].")
    if len(content) > _MAX_CATEGORIES:
        raise WrongUsage(f"{file} has more than {_MAX_CATEGORIES} categories. Leave some out.")
    return [_category(name, value, file) for name, value in content.items()]


def _category(name: str, value: Any, file: str) -> TagCategory:  # noqa: ANN401 - whatever TOML can hold
    place = f"{file}: [{printable(name)}]"
    if not _NAME.fullmatch(name):
        raise WrongUsage(
            f"{place} is not a valid category name. Use up to 40 lowercase letters, digits, - and _."
        )
    if not isinstance(value, dict):
        raise WrongUsage(f"{file}: {printable(name)} is outside a category. Put it below a [name].")
    for key in value:
        if key not in _KEYS:
            raise WrongUsage(f"{place} has an unknown key {printable(key)}. Known are {', '.join(_KEYS)}.")
    mode = _one_of(value.get("mode", "single"), ("single", "multi"), f"{place} mode")
    none = value.get("none", list(_USUAL_NONE) if mode == "single" else [])
    templates = _texts(value.get("templates", ["a photo of {}"]), f"{place} templates")
    for template in templates:
        if template.count("{}") != 1:
            raise WrongUsage(
                f"{place} has the template {printable(template)}, which must contain {{}} exactly "
                "once, where the phrase goes."
            )
    return TagCategory(
        name=name,
        target="face"
        if _one_of(value.get("target"), ("scene", "face"), f"{place} target") == "face"
        else "scene",
        selection_mode="multi" if mode == "multi" else "single",
        min_confidence=_confidence(value.get("min_confidence", 0.0), f"{place} min_confidence"),
        templates=templates,
        words=_words(value.get("words"), place),
        none_of_these=_texts(none, f"{place} none", minimum=1 if mode == "single" else 0),
    )


def _one_of(value: Any, known: tuple[str, ...], place: str) -> str:  # noqa: ANN401 - whatever TOML can hold
    if not isinstance(value, str) or value not in known:
        given = "is missing" if value is None else f"is {printable(str(value))}"
        raise WrongUsage(f"{place} {given}. Give {' or '.join(known)}.")
    return value


def _confidence(value: Any, place: str) -> float:  # noqa: ANN401 - whatever TOML can hold
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise WrongUsage(f"{place} is {printable(str(value))}. Give a number from 0 to 1.")
    return float(value)


def _words(value: Any, place: str) -> tuple[TagWord, ...]:  # noqa: ANN401 - whatever TOML can hold
    """Read tags: a table from tag to phrases, or a list of tags that are their own phrases."""
    if isinstance(value, list):
        value = {name: name for name in _texts(value, f"{place} words")}
    if not isinstance(value, dict) or not value:
        raise WrongUsage(f"{place} has no words. Give its tags below [{place.partition('[')[2][:-1]}.words].")
    if len(value) > _MAX_WORDS:
        raise WrongUsage(f"{place} has more than {_MAX_WORDS} words. Leave some out.")
    words: dict[str, TagWord] = {}
    for name, given in value.items():
        _texts([name], f"{place} words")
        if ":" in name:
            raise WrongUsage(
                f"{place} has the tag {printable(name)}. Remove the colon: it separates category and tag."
            )
        if name.lower() in words:
            raise WrongUsage(f"{place} has the tag {printable(name)} twice. Remove one.")
        phrases = _texts([given] if isinstance(given, str) else given, f"{place} {printable(name)}")
        words[name.lower()] = TagWord(name, phrases)
    return tuple(words.values())


def _texts(value: Any, place: str, *, minimum: int = 1) -> tuple[str, ...]:  # noqa: ANN401 - as above
    sound = isinstance(value, list) and all(isinstance(each, str) for each in value)
    if not sound or not minimum <= len(value) <= _MAX_WORDS:
        raise WrongUsage(
            f"{place} is not a list of texts. Give one such as [{json.dumps('a photo of a beach')}]."
        )
    for each in value:
        if not each.strip() or each != each.strip() or len(each) > _MAX_LENGTH or printable(each) != each:
            raise WrongUsage(
                f"{place} holds {printable(each) or 'an empty text'}. Give 1 to {_MAX_LENGTH} printable "
                "characters without surrounding spaces."
            )
    return tuple(dict.fromkeys(value))
