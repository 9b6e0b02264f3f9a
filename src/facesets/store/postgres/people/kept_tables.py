"""Tables whose rows steps keep: how they are named in statements that are the same for all of them."""

from dataclasses import dataclass
from typing import LiteralString

from psycopg import sql


@dataclass(frozen=True, slots=True)
class KeptTable:
    """A small table whose rows steps keep whole: its columns, those of its primary key first."""

    name: str
    key: tuple[tuple[str, str], ...]
    columns: tuple[str, ...]
    of_faces: tuple[str, ...] = ()
    """Columns that refer to faces, which may be gone when the rows come back."""

    def query(self, text: LiteralString) -> sql.Composed:
        """A statement on the table as `t` and its kept rows as `k`, with names in braces filled in."""
        names = [name for name, _ in self.key]
        parts = [
            sql.SQL("t.{} = {}::{}").format(
                sql.Identifier(name),
                # A text that is the whole key may hold spaces.
                sql.SQL("k.key")
                if len(self.key) == 1
                else sql.SQL("split_part(k.key, ' ', {})").format(sql.Literal(place)),
                sql.SQL(kind),
            )
            for place, (name, kind) in enumerate(self.key, start=1)
        ]
        there = [
            sql.SQL(
                " AND EXISTS (SELECT FROM face_detections f WHERE f.id = split_part(k.key, ' ', {})::bigint)"
            ).format(sql.Literal(names.index(column) + 1))
            for column in self.of_faces
        ]
        every = [*names, *self.columns]
        return sql.SQL(text).format(
            table=sql.Identifier(self.name),
            name=sql.Literal(self.name),
            same=sql.SQL(" AND ").join(parts),
            faces_exist=sql.SQL("").join(there),
            columns=sql.SQL(", ").join(map(sql.Identifier, every)),
            primary=sql.SQL(", ").join(map(sql.Identifier, names)),
            updates=sql.SQL(", ").join(
                sql.SQL("{0} = excluded.{0}").format(sql.Identifier(column)) for column in self.columns
            ),
        )
