"""`/clusters`: unnamed clusters and people, and their corrections."""

from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Body, Path, Query
from pydantic import Field

from facesets.errors import NotFound
from facesets.files import printable
from facesets.operations.options.people import SplitOptions
from facesets.operations.people.corrections.cluster_corrections import (
    clusters_of_parts,
    hide_cluster,
    label_cluster,
    version_of,
)
from facesets.operations.people.corrections.lookup import called, cluster_as_person, find_cluster
from facesets.operations.people.corrections.splitting import apply_split
from facesets.store.postgres.connection import Connection
from facesets.store.postgres.people.face_groups import faces_in_cluster, groups_page
from facesets.store.postgres.people.person_faces import best_of_person
from facesets.store.postgres.photo_details import FaceFacts, facts_of_faces
from facesets.web.api.faces import FaceShape
from facesets.web.api.shapes import Into, Name, Of, Page, PagingDep, Shape, Version
from facesets.web.site import Seen, SiteDep

router = APIRouter(prefix="/clusters", tags=["clusters"])

MAX_FACES = 1000
ClusterId = Annotated[
    str, Path(max_length=300, pattern=r"^[^\x00-\x1f]+$", description="`person_<uuid>` for a person.")
]


class ClusterShape(Shape):
    """A cluster or a person."""

    cluster_id: Annotated[str, Of("id")]
    face_count: Annotated[int, Of("faces")]
    sample_face_ids: Annotated[list[int], Of(lambda group: [face for face, _ in group.sample])]
    avg_quality: Annotated[float, Of("quality")]
    person_id: Annotated[UUID | None, Of("person")]
    person_name: Annotated[str | None, Of("name")]


class ClusterFaces(Shape):
    """A cluster with its faces, best first, and the version to send with changes."""

    cluster_id: str
    faces: list[FaceShape]
    person_id: UUID | None
    person_name: str | None
    version: int


class LabelRequest(Shape):
    """The name of a cluster."""

    name: Name
    into: Into = False
    version: Version = None


class LabelShape(Shape):
    """The person that a cluster became."""

    person_id: Annotated[UUID, Of("person")]
    person_name: Annotated[str, Of("name")]
    faces_labeled: Annotated[int, Of("faces")]
    prototypes_created: Annotated[int, Of("prototypes")]
    step: int | None


class SplitRequest(Shape):
    """Options for splitting a cluster."""

    min_cluster_size: Annotated[int, Field(ge=1, le=100_000)] = 3
    version: Version = None


class SplitShape(Shape):
    """The parts of a cluster; `unchanged` if its faces belong together."""

    original_cluster_id: str
    new_clusters: list[str]
    status: Literal["split", "unchanged"]
    step: int | None


class HideRequest(Shape):
    """The version that the client saw."""

    version: Version = None


class HideShape(Shape):
    """The hidden cluster, and the change that `/undo` accepts."""

    cluster_id: str
    step: int | None


@router.get("")
def clusters(
    site: SiteDep,
    paging: PagingDep,
    *,
    include_labeled: Annotated[
        bool, Query(alias="includeLabeled", description="Include named people.")
    ] = False,
    include_labeled_snake: Annotated[
        bool | None, Query(alias="include_labeled", include_in_schema=False)
    ] = None,
) -> Page[ClusterShape]:
    """List unnamed clusters and people, largest first."""
    labeled = include_labeled if include_labeled_snake is None else include_labeled_snake
    with site.library() as session:
        found = session.run(groups_page, limit=paging.page_size, offset=paging.offset, labeled=labeled)
    return paging.page_of(ClusterShape, map(ClusterShape.of, found.groups), found.total)


@router.get("/{cluster}")
def cluster(
    cluster: ClusterId,
    site: SiteDep,
    offset: Annotated[int, Query(ge=0, le=10**9)] = 0,
    limit: Annotated[int, Query(ge=1, le=MAX_FACES)] = MAX_FACES,
) -> ClusterFaces:
    """List the faces of a cluster, best first, up to `limit` at a time."""

    def work(connection: Connection) -> ClusterFaces:
        version = version_of(connection, cluster)
        state = cluster_as_person(connection, cluster)
        if state is not None:
            ids = best_of_person(connection, state.id, limit=limit, offset=offset)
            faces = facts_of_faces(connection, ids)
            name = called(state) if state.names else None
            return _closely(cluster, faces, state.id, name, version)
        ids = faces_in_cluster(connection, cluster, limit=limit, offset=offset)
        if not ids and not offset:
            raise NotFound(f"Cluster not found: {printable(cluster)}.")
        faces = facts_of_faces(connection, ids)
        owners = {(face.person, face.person_name) for face in faces}
        owner, name = owners.pop() if len(owners) == 1 else (None, None)
        return _closely(cluster, faces, owner, name or None, version)

    with site.library() as session:
        return session.run(work)


def _closely(
    cluster: str, faces: list[FaceFacts], person: UUID | None, name: str | None, version: int
) -> ClusterFaces:
    shown = list(map(FaceShape.of, faces))
    return ClusterFaces(cluster_id=cluster, faces=shown, person_id=person, person_name=name, version=version)


@router.post("/{cluster}/label")
def label(cluster: ClusterId, site: SiteDep, asked: LabelRequest) -> LabelShape:
    """Name a cluster."""
    with site.changing(Seen(cluster, asked.version)) as session:
        return LabelShape.of(label_cluster(session, cluster, asked.name, into=asked.into, by=site.by))


@router.post("/{cluster}/split")
def split(
    cluster: ClusterId, site: SiteDep, asked: Annotated[SplitRequest, Body(default_factory=SplitRequest)]
) -> SplitShape:
    """Split a cluster into its parts."""
    options = SplitOptions(min_size=asked.min_cluster_size)
    with site.changing(Seen(cluster, asked.version)) as session:
        done = apply_split(session, cluster, options, by=site.by, finder=find_cluster)
    with site.library() as session:
        new = clusters_of_parts(session, done)
    return SplitShape(
        original_cluster_id=cluster,
        new_clusters=new,
        status="split" if new else "unchanged",
        step=done.step,
    )


@router.post("/{cluster}/hide")
def hide(
    cluster: ClusterId, site: SiteDep, asked: Annotated[HideRequest, Body(default_factory=HideRequest)]
) -> HideShape:
    """Hide a cluster."""
    with site.changing(Seen(cluster, asked.version)) as session:
        return HideShape(cluster_id=cluster, step=hide_cluster(session, cluster, by=site.by))
