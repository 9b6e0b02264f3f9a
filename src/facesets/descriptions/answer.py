"""Schema and validation of a model's answer about a photo.

The only module outside of `web` that imports Pydantic: import it where an answer is asked for.
"""

import json
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

_MAX_LETTERS = 4_000
_MAX_ENTRIES = 60
# Keywords that providers' schemas cannot express, or that only repeat the prompt.
_NOT_IN_SCHEMAS = frozenset({"title", "default", "minimum", "maximum", "maxLength", "maxItems"})


class WrongAnswer(Exception):
    """A model's answer is invalid; the message is part of a sentence."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="ignore", str_strip_whitespace=True)

    @field_validator("*", mode="before")
    @classmethod
    def _storable(cls, value: object) -> object:
        """Truncate texts, and remove what a database cannot hold."""
        if isinstance(value, str):
            return value.replace("\0", "").encode("utf-8", "replace").decode()[:_MAX_LETTERS]
        return value[:_MAX_ENTRIES] if isinstance(value, list) else value


class Quality(_Part):
    """How good the photo is as a photo."""

    score: float = Field(description="From 0, unusable, to 1, excellent.")
    notes: str

    @field_validator("score")
    @classmethod
    def _in_range(cls, value: float) -> float:
        # The answer is paid for: a score slightly out of range is no reason to discard it.
        return min(max(value, 0.0), 1.0) if value == value else 0.0


class Time(_Part):
    """When the photo seems to have been taken."""

    season: Literal["spring", "summer", "autumn", "winter", "unknown"]
    time_of_day: Literal["dawn", "morning", "midday", "afternoon", "evening", "night", "unknown"]
    date_estimate: str = Field(description="Such as 1990s, or Christmas 2004; empty for no idea.")


class Location(_Part):
    """Where the photo seems to have been taken."""

    environment: Literal["indoor", "outdoor", "mixed", "unknown"]
    hypotheses: list[str] = Field(description="Places that it may show, the likeliest first.")


class People(_Part):
    """The people in the photo."""

    count: int
    notes: str

    @field_validator("count")
    @classmethod
    def _in_range(cls, value: int) -> int:
        return min(max(value, 0), 1_000_000)


class Answer(_Part):
    """The whole description of a photo."""

    description: str = Field(min_length=1, description="Two to four sentences.")
    quality: Quality
    time: Time
    location: Location
    people: People
    activities: list[str]
    objects: list[str]
    text_in_image: str = Field(description="Every word that can be read on it; empty for none.")
    tags: list[str] = Field(description="Five to fifteen single words, in lower case.")
    emotional_tone: str

    @field_validator("activities", "objects", "tags")
    @classmethod
    def _without_blanks(cls, value: list[str]) -> list[str]:
        cleaned = (each.replace("\0", "").encode("utf-8", "replace").decode().strip() for each in value)
        return [each[:_MAX_LETTERS] for each in cleaned if each]


def schema() -> dict[str, Any]:
    """Return an answer's JSON schema as providers take it: closed, all required, no references."""
    whole = Answer.model_json_schema()
    found = _plain(whole, whole.get("$defs", {}))
    if not isinstance(found, dict):
        raise TypeError("a schema is an object")
    return found


def _plain(part: object, definitions: dict[str, Any]) -> object:
    if isinstance(part, list):
        return [_plain(each, definitions) for each in part]
    if not isinstance(part, dict):
        return part
    if "$ref" in part:
        return _plain(definitions[part["$ref"].rpartition("/")[2]], definitions)
    cleaned: dict[str, Any] = {
        name: {field: _plain(value, definitions) for field, value in each.items()}
        if name == "properties"
        else _plain(each, definitions)
        for name, each in part.items()
        if name not in _NOT_IN_SCHEMAS and name not in {"$defs", "minLength"}
    }
    if cleaned.get("type") == "object":
        cleaned |= {"required": list(cleaned["properties"]), "additionalProperties": False}
    return cleaned


def read_answer(text: str) -> dict[str, Any]:
    """Parse a model's text into an answer that can be stored.

    Raises
    ------
    WrongAnswer
        The text is not JSON, or a field is missing or of another type.
    """
    stripped = text.strip()
    if stripped.startswith("```"):  # Servers without structured output let models write Markdown.
        stripped = stripped.strip("`").removeprefix("json")
    try:
        return Answer.model_validate(json.loads(stripped)).model_dump()
    except (ValueError, RecursionError) as error:
        if isinstance(error, ValidationError):
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"])) or "all of it"
            raise WrongAnswer(f"the answer is not as asked for: {where}: {first['msg']}") from error
        raise WrongAnswer("the answer is no JSON") from error
