"""The requests and answers of calls that start a run."""

from typing import Annotated, Literal

from pydantic import Field

from facesets.operations.options.grouping import Method
from facesets.result import Result
from facesets.web.api.shapes import Of, Shape

_MAX_FACES = 100_000_000
_MAX_IN_CLUSTER = 1_000_000

Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Faces = Annotated[int, Field(ge=2, le=_MAX_FACES)]
Status = Literal["completed", "stopped"]


class Answer(Shape):
    """The result of a run."""

    status: Status


class Queueable(Shape):
    """A run that can start in the background."""

    queue: Annotated[
        bool, Field(description="Answer at once with a job ID instead of waiting for the result.")
    ] = False


class Queued(Shape):
    """A started job."""

    status: Literal["queued"] = "queued"
    job_id: str


class DetectRequest(Shape):
    """Options for detecting faces in a photo again."""

    min_confidence: Annotated[Share, Field(description="Minimum detector score of a face.")] = 0.5
    min_face_size: Annotated[
        int, Field(ge=1, le=100_000, description="Minimum short edge of a face's box in pixels.")
    ] = 20


class Detected(Shape):
    """The detected faces, known and new."""

    asset_id: str
    faces_detected: Annotated[int, Of(lambda found: len(found.faces))]
    face_ids: Annotated[list[int], Of("faces")]
    faces_added: Annotated[int, Of("added"), Field(description="Number of new faces.")]


class ClusterRequest(Queueable):
    """Options for clustering the library's faces."""

    quality_threshold: Annotated[
        Share, Field(description="Minimum quality of a face to be clustered; assigned faces stay assigned.")
    ] = 0.5
    max_faces: Annotated[
        Faces,
        Field(description="Maximum faces that build the hierarchy, best first; the others are added to it."),
    ] = 50_000
    min_cluster_size: Annotated[
        int,
        Field(
            ge=2,
            le=_MAX_IN_CLUSTER,
            description="Minimum faces of a new cluster. By default 2 for methods other than hdbscan.",
        ),
    ] = 5
    method: Annotated[Method, Field(description="Clustering method; `maxFaces` applies to hdbscan only.")] = (
        "hdbscan"
    )


class Clustered(Answer):
    """The result of clustering."""

    total_faces: Annotated[int, Of("faces")]
    clusters_found: Annotated[int, Of("people"), Field(description="Clusters that the faces are in now.")]
    noise_count: Annotated[
        int, Of(lambda done: done.alone + len(done.review)), Field(description="Unassigned faces.")
    ]
    new_clusters: Annotated[int, Of("new_persons"), Field(description="New clusters.")]
    left_out: Annotated[int, Field(description="Faces excluded by their quality or date.")]


class DualRequest(Queueable):
    """Options for matching faces to known people and clustering the others."""

    person_threshold: Annotated[
        Share,
        Field(
            description="Minimum cosine similarity to match a face to a person. By default the value of the "
            "library's recognition model: usually 0.7; 0.75 with the open pack."
        ),
    ] = 0.7
    unknown_method: Annotated[Method, Field(description="Clustering method for the other faces.")] = "hdbscan"
    unknown_min_cluster_size: Annotated[int, Field(ge=2, le=_MAX_IN_CLUSTER)] = 3
    unknown_eps: Annotated[
        float,
        Field(
            ge=0,
            le=2,
            allow_inf_nan=False,
            description="Maximum cosine distance within a cluster of the other faces; not for hdbscan and "
            "auto. By default the value of the library's recognition model, usually 0.5.",
        ),
    ] = 0.5
    max_faces: Annotated[
        Faces | None, Field(description="Maximum number of faces, best first; by default all.")
    ] = None


class Supervised(Shape):
    """Faces compared with known people."""

    faces_processed: Annotated[int, Of("faces")]
    assigned_to_persons: Annotated[int, Of("assigned")]
    persons_matched: Annotated[int, Of("people")]


class Unsupervised(Shape):
    """The other faces."""

    unlabeled_faces: Annotated[int, Of("faces")]
    clusters_found: Annotated[int, Of("clusters")]
    noise_count: Annotated[int, Of("noise")]


_NOT_REACHED = Result(faces=0, clusters=0, noise=0, seconds=0.0)


class DualClustered(Answer):
    """The results of both phases."""

    supervised: Annotated[Supervised, Of(lambda done: Supervised.of(done.known))]
    unsupervised: Annotated[Unsupervised, Of(lambda done: Unsupervised.of(done.unknown or _NOT_REACHED))]
    total_faces: Annotated[int, Of(lambda done: done.known.faces)]
    execution_time_seconds: Annotated[
        float, Of(lambda done: round(done.known.seconds + (done.unknown or _NOT_REACHED).seconds, 3))
    ]


class TrainRequest(Queueable):
    """Options for training a head."""

    epochs: Annotated[int, Field(ge=10, le=100)] = 20
    margin: Annotated[float, Field(ge=0.1, le=0.5, allow_inf_nan=False)] = 0.2
    batch_size: Annotated[int, Field(ge=16, le=128)] = 32
    learning_rate: Annotated[float, Field(ge=1e-6, le=0.1, allow_inf_nan=False)] = 0.0001
    min_faces_per_person: Annotated[int, Field(ge=4, le=_MAX_IN_CLUSTER)] = 5


class Trained(Answer):
    """The result of training, and whether the new head is now in use."""

    persons_used: Annotated[int, Of("people")]
    total_faces: Annotated[int, Of("faces")]
    training_faces: int
    validation_faces: int
    final_train_loss: Annotated[float | None, Of(lambda done: (done.epochs or [{}])[-1].get("loss"))]
    final_val_loss: Annotated[float | None, Of(lambda done: (done.epochs or [{}])[-1].get("validation_loss"))]
    model_checkpoint: Annotated[str, Of("checkpoint")]
    training_time_seconds: Annotated[float, Of("seconds")]
    activated: Annotated[bool, Of(lambda done: bool(done.activated))]
    reason: Annotated[str, Of("verdict"), Field(description="Why the head was activated or not.")]


class AssignRequest(Queueable):
    """Options for matching faces; defaults depend on the recognition model or the active head."""

    threshold: Annotated[
        Share | Literal["auto"] | None,
        Field(description="Minimum cosine similarity to match a face to a person; `auto` measures it."),
    ] = "auto"
    margin: Annotated[Share | None, Field(description="Minimum lead over the second-best match.")] = None
    review_threshold: Annotated[
        Share | None, Field(description="Minimum cosine similarity of a suggestion.")
    ] = None
    max_faces: Annotated[int | None, Field(ge=1, le=_MAX_FACES)] = None


class Assigned(Answer):
    """The result of matching."""

    faces_processed: Annotated[int, Of("faces")]
    assigned_to_persons: Annotated[int, Of("assigned")]
    persons_matched: Annotated[int, Of("assigned_people")]
    to_review: Annotated[int, Of("review")]
    threshold: float
    step: Annotated[
        int | None, Field(description="The change that `/undo` accepts; null if nothing changed.")
    ]


class CentroidsRequest(Queueable):
    """Options for recomputing the reference faces."""


class Centroids(Answer):
    """The result of recomputing the reference faces."""

    persons: Annotated[int, Of("people")]
    prototypes: int
    changed: int
    largest_drift: float


class FolderShape(Shape):
    """An indexed folder."""

    id: str
    path: str
    last_indexed_at: str


class IndexRequest(Queueable):
    """The folders to index again."""

    folder_ids: Annotated[
        list[Annotated[str, Field(pattern="^[0-9a-f]{16}$")]], Field(min_length=1, max_length=1000)
    ]
    assign: Annotated[bool, Field(description="Then match the new faces to known people.")] = False


class Indexed(Answer):
    """The result of indexing."""

    new_images: Annotated[int, Of("indexed")]
    new_faces: Annotated[int, Of("faces")]
    unchanged: int
    failed: int
    to_do: int
    assigned: int | None
