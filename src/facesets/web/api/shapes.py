"""The base of the API's JSON objects: written in camelCase; snake_case is accepted, too.

`Shape.of` makes an answer from a record of the core: each field names its source once.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from operator import attrgetter
from typing import Annotated, Any, Generic, Self, TypeVar

from fastapi import Depends, Query
from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

T = TypeVar("T")

_MAX = 100
"""Maximum items on a page."""
_LAST = 1_000_000

Version = Annotated[
    int | None,
    Field(
        description="The version that the client saw; without it, no check is made.", ge=-(2**53), le=2**53
    ),
]
Name = Annotated[str, Field(min_length=1, max_length=200)]
Into = Annotated[bool, Field(description="If the name is taken, merge the two people.")]
FaceNumber = Annotated[int, Field(ge=1, lt=2**63)]
FaceNumbers = Annotated[list[FaceNumber], Field(min_length=1, max_length=5000)]


@dataclass(frozen=True, slots=True)
class Of:
    """The attribute of a record that a field comes from, if its name differs."""

    attribute: str | Callable[[Any], Any]


class Shape(BaseModel):
    """A JSON object of the API."""

    model_config = ConfigDict(
        alias_generator=to_camel, populate_by_name=True, from_attributes=True, extra="forbid"
    )

    @classmethod
    def of(cls, record: object, **others: Any) -> Self:
        """Make a shape from a record; `others` are fields that the record lacks."""
        values = {name: value_of(record) for name, value_of in _sources(cls) if name not in others}
        return cls(**values, **others)


@cache
def _sources(kind: type[Shape]) -> list[tuple[str, Callable[[Any], Any]]]:
    """Return each field of a shape with a function that gets its value from a record."""
    sources = []
    for name, field in kind.model_fields.items():
        source = next((each.attribute for each in field.metadata if isinstance(each, Of)), name)
        sources.append((name, attrgetter(source) if isinstance(source, str) else source))
    return sources


class Paging:
    """The requested page."""

    def __init__(
        self,
        page: Annotated[int, Query(ge=1, le=_LAST)] = 1,
        page_size: Annotated[int, Query(alias="pageSize", ge=1, le=_MAX)] = 20,
        page_size_snake: Annotated[
            int | None, Query(alias="page_size", ge=1, le=_MAX, include_in_schema=False)
        ] = None,
    ) -> None:
        self.page = page
        self.page_size = page_size if page_size_snake is None else page_size_snake

    @property
    def offset(self) -> int:
        """Return the number of items before the page."""
        return (self.page - 1) * self.page_size

    def page_of(self, kind: type[T], items: Iterable[T], total: int) -> "Page[T]":
        """Return the page, of `total` items in all."""
        return Page[kind](items=list(items), total=total, page=self.page, page_size=self.page_size)  # type: ignore[valid-type]


PagingDep = Annotated[Paging, Depends()]


class Page(Shape, Generic[T]):
    """One page of a list."""

    items: Sequence[T]
    total: int
    page: int
    page_size: int
