"""Lists in pages, as the API answers them."""

from collections.abc import Sequence
from typing import Annotated, Generic, TypeVar

from fastapi import Depends, Query

from facesets.web.api.shapes import Shape

T = TypeVar("T")

MOST = 100
"""Items on a page."""
_LAST = 1_000_000


class Paging:
    """Which page was asked for."""

    def __init__(
        self,
        page: Annotated[int, Query(ge=1, le=_LAST)] = 1,
        page_size: Annotated[int, Query(alias="pageSize", ge=1, le=MOST)] = 20,
        page_size_snake: Annotated[
            int | None, Query(alias="page_size", ge=1, le=MOST, include_in_schema=False)
        ] = None,
    ) -> None:
        self.page = page
        self.page_size = page_size if page_size_snake is None else page_size_snake

    @property
    def offset(self) -> int:
        """How many items come before the page."""
        return (self.page - 1) * self.page_size


PagingDep = Annotated[Paging, Depends()]


class Page(Shape, Generic[T]):
    """One page of a list."""

    items: Sequence[T]
    total: int
    page: int
    page_size: int
