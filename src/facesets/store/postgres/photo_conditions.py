"""What a condition on photos is: each kind of them has a module of its own, and all meet in `photo_filter`.

A condition is about an image `i`, or about its row `m` in photo_metadata. One about an image that looks into
another table does so by `EXISTS (SELECT … {how})`.
"""

from collections.abc import Sequence
from typing import TypeAlias

from psycopg import sql

Conditions: TypeAlias = tuple[Sequence[sql.Composable], dict[str, object]]
"""Statements that all have to hold, and their parameters, with names of their own."""

NONE: Conditions = ([], {})

ALL_AT_ONCE = sql.SQL("")
"""PostgreSQL may look for all rows that fit first, and for their images then."""

ONE_BY_ONE = sql.SQL("OFFSET 0")
"""It looks for rows of one image at a time: right where most images fit, and few are wanted."""
