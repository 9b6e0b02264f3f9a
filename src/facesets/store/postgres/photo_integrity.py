"""What a hand-edited database may have wrong about what stages found, and how it is put right.

Whatever is in doubt goes, and is pending: the stage finds it again.
"""

from dataclasses import dataclass

from psycopg import sql

from facesets.store.postgres.connection import Connection, only_row


@dataclass(frozen=True, slots=True)
class Findings:
    """Where a stage keeps what it found.

    Attributes
    ----------
    table : str
        Has a column `image_id`.
    is_complete : bool
        Has a row for every image that the stage completed.
    """

    stage: str
    table: str
    is_complete: bool = False


FINDINGS = (
    Findings("metadata", "photo_metadata", is_complete=True),
    Findings("metadata", "photo_extra"),
)

_PENDING = "they are pending, and `index` with that stage finds them again"
_NO_STAGE = """FROM {table} t WHERE NOT EXISTS (SELECT FROM image_stages s
    WHERE s.image_id = t.image_id AND s.stage = {stage} AND s.status <> 'processing')"""
_NO_FINDING = """FROM image_stages t WHERE t.stage = {stage} AND t.status = 'completed'
    AND NOT EXISTS (SELECT FROM {table} f WHERE f.image_id = t.image_id)"""
_NO_IMAGE = "FROM {table} t WHERE NOT EXISTS (SELECT FROM images i WHERE i.id = t.image_id)"
_NO_VERSION = """FROM image_stages t
    WHERE NOT EXISTS (SELECT FROM stage_versions v WHERE v.id = t.version_id AND v.stage = t.stage)"""
_OTHER_TIME = """FROM images t JOIN photo_metadata m ON m.image_id = t.id
    WHERE t.taken IS DISTINCT FROM date_trunc('second', m.taken)"""


@dataclass(frozen=True, slots=True)
class _Wrong:
    what: str
    rows: sql.Composable
    table: str
    repair: str = _PENDING


def _all_that_may_be_wrong() -> list[_Wrong]:
    found = [
        _Wrong(
            "stages of images that are not there", _of(_NO_IMAGE, "image_stages"), "image_stages", "they go"
        ),
        _Wrong("images with a stage in a version that is not known", sql.SQL(_NO_VERSION), "image_stages"),
    ]
    for each in FINDINGS:
        name = f"{each.stage} in {each.table}"
        found += [
            _Wrong(
                f"findings of {name} about images that are not there", _of(_NO_IMAGE, each.table), each.table
            ),
            _Wrong(
                f"findings of {name} without a record of the stage",
                _of(_NO_STAGE, each.table, each.stage),
                each.table,
            ),
        ]
        if each.is_complete:
            rows = _of(_NO_FINDING, each.table, each.stage)
            found.append(_Wrong(f"images of which nothing is left in {each.table}", rows, "image_stages"))
    return found


def _of(statement: str, table: str, stage: str = "") -> sql.Composed:
    return sql.SQL(statement).format(table=sql.Identifier(table), stage=sql.Literal(stage))


_TIMES = ("images with another time than their metadata say", sql.SQL(_OTHER_TIME), "it follows them")


def wrong_findings(connection: Connection) -> list[tuple[str, int, str]]:
    """What is wrong, how often, and what `repair_findings` does about it."""
    parts = [(each.what, each.rows, each.repair) for each in _all_that_may_be_wrong()]
    return [
        (what, int(only_row(connection.execute(sql.SQL("SELECT count(*) {}").format(rows)))[0]), repair)
        for what, rows, repair in [*parts, _TIMES]
    ]


def repair_findings(connection: Connection) -> None:
    """Put all of that right."""
    for each in _all_that_may_be_wrong():
        connection.execute(
            sql.SQL("DELETE FROM {} x WHERE x.ctid IN (SELECT t.ctid {})").format(
                sql.Identifier(each.table), each.rows
            )
        )
    connection.execute(
        sql.SQL(
            """UPDATE images i SET taken = date_trunc('second', m.taken) FROM photo_metadata m
                WHERE m.image_id = i.id AND i.id IN (SELECT t.id {})"""
        ).format(sql.SQL(_OTHER_TIME))
    )
