"""`GET /health`: whether the program and its library answer."""

from typing import Annotated, Literal

from fastapi import APIRouter, Response
from pydantic import Field

from facesets.errors import FacesetsError
from facesets.store.postgres.connection import Connection
from facesets.web.api.shapes import Shape
from facesets.web.site import SiteDep

router = APIRouter()


class Health(Shape):
    """How the program and its library are."""

    status: Literal["ok", "unavailable"]
    database: Literal["ok", "unavailable"]
    schema_number: Annotated[int | None, Field(alias="schema", description="Of the latest migration.")]
    faces: Annotated[int | None, Field(description="About how many there are.")]


@router.get("/health", tags=["health"])
def health(site: SiteDep, response: Response) -> Health:
    """Tell whether the library answers; status 503 where it does not."""
    try:
        with site.library() as session:
            schema, faces = session.run(_counted)
    except FacesetsError:
        response.status_code = 503
        return Health(status="unavailable", database="unavailable", schema_number=None, faces=None)
    return Health(status="ok", database="ok", schema_number=schema, faces=faces)


def _counted(connection: Connection) -> tuple[int, int]:
    # Estimated: counting a million rows takes longer than whoever watches waits. Before the first estimate as
    # many are counted as that takes no time.
    row = connection.one(
        """SELECT (SELECT max(number) FROM schema_migrations), CASE WHEN reltuples > 0
                    THEN reltuples::bigint
                    ELSE (SELECT count(*) FROM (SELECT FROM face_detections LIMIT 100000) AS counted) END
                FROM pg_class WHERE oid = 'face_detections'::regclass"""
    )
    return row[0], row[1]
