"""What a condition on photos is: each kind of them has a module of its own, and all meet in `photo_filter`.

A condition is about an image `i`, or about its row `m` in photo_metadata. One that looks into another table
is made by `has_row`, in one of two forms.
"""

from collections.abc import Sequence
from typing import LiteralString, TypeAlias

from psycopg import sql

Conditions: TypeAlias = tuple[Sequence[sql.Composable], dict[str, object]]
"""Statements that all have to hold, and their parameters, with names of their own."""

NONE: Conditions = ([], {})

ALL_AT_ONCE = sql.SQL("EXISTS (SELECT FROM {table} WHERE {image} = i.id AND {where})")
"""PostgreSQL may look for all rows that fit first, and for their images then."""

ONE_BY_ONE = sql.SQL(
    "EXISTS (SELECT FROM (SELECT * FROM {table} WHERE {image} = i.id OFFSET 0) {name} WHERE {where})"
)
"""It looks for the rows of one image, and whether one fits then, though it may expect few to fit at all."""


def has_row(table: LiteralString, name: LiteralString, where: sql.Composable, how: sql.SQL) -> sql.Composed:
    """The condition that a table has a row of an image, called `name`, for which something holds."""
    short = sql.SQL(name)
    return how.format(
        table=sql.SQL("{} {}").format(sql.Identifier(table), short),
        image=sql.SQL("{}.image_id").format(short),
        name=short,
        where=where,
    )


def all_of(some: Conditions) -> sql.Composable:
    """The condition that all of them hold."""
    return sql.SQL(" AND ").join([*some[0], sql.SQL("true")])


def any_of(some: Sequence[sql.Composable]) -> sql.Composable:
    """The condition that one of them holds."""
    return sql.SQL("({})").format(sql.SQL(" OR ").join(some))


def per_image(how: sql.SQL) -> sql.SQL:
    """What ends a statement within EXISTS so that it is asked of one image at a time, where that is `how`."""
    return sql.SQL("OFFSET 0" if how is ONE_BY_ONE else "")
