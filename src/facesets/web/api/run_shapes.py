"""What calls that run something are asked, and what they answer."""

from typing import Annotated, Literal

from pydantic import Field

from facesets.operations.options.grouping import Method
from facesets.result import Result
from facesets.web.api.shapes import Of, Shape

_MOST_FACES = 100_000_000
_MOST_IN_CLUSTER = 1_000_000

Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Faces = Annotated[int, Field(ge=2, le=_MOST_FACES)]
Status = Literal["completed", "stopped"]


class Answer(Shape):
    """What came of a run, of its figures."""

    status: Status


class Queueable(Shape):
    """Whether to wait for the end."""

    queue: Annotated[bool, Field(description="Answer at once, with a job to look after.")] = False


class Queued(Shape):
    """The work was begun."""

    status: Literal["queued"] = "queued"
    job_id: str


class DetectRequest(Shape):
    """How to look at a photo again."""

    min_confidence: Annotated[Share, Field(description="Least detector score of a face.")] = 0.5
    min_face_size: Annotated[
        int, Field(ge=1, le=100_000, description="Fewest pixels of the short edge of a face's box.")
    ] = 20


class Detected(Shape):
    """The faces that were found, known ones and new ones."""

    asset_id: str
    faces_detected: Annotated[int, Of(lambda found: len(found.faces))]
    face_ids: Annotated[list[int], Of("faces")]
    faces_added: Annotated[int, Of("added"), Field(description="How many were not known before.")]


class ClusterRequest(Queueable):
    """How to group the library's faces."""

    quality_threshold: Annotated[
        Share, Field(description="Least quality of a face that takes part; who is somebody's stays so.")
    ] = 0.5
    max_faces: Annotated[
        Faces,
        Field(description="So many faces make the hierarchy, the best ones; the others are placed in it."),
    ] = 50_000
    min_cluster_size: Annotated[
        int,
        Field(
            ge=2,
            le=_MOST_IN_CLUSTER,
            description="Fewest faces of a new group. Where it is left out, 2 by methods other than hdbscan.",
        ),
    ] = 5
    method: Annotated[Method, Field(description="How to group; `maxFaces` is about hdbscan alone.")] = (
        "hdbscan"
    )


class Clustered(Answer):
    """What came of it."""

    total_faces: Annotated[int, Of("faces")]
    clusters_found: Annotated[int, Of("people"), Field(description="Groups that the faces are in now.")]
    noise_count: Annotated[
        int, Of(lambda done: done.alone + len(done.review)), Field(description="Faces in none.")
    ]
    new_clusters: Annotated[int, Of("new_persons"), Field(description="Groups that were not there before.")]
    left_out: Annotated[int, Field(description="Faces that did not take part.")]


class DualRequest(Queueable):
    """How to give faces to known people, and how to group the others."""

    person_threshold: Annotated[
        Share,
        Field(
            description="Cosine similarity from which on a face is a person's. Where it is left out, as the "
            "library's recogniser has it: 0.7 for most, 0.75 with the open pack."
        ),
    ] = 0.7
    unknown_method: Annotated[Method, Field(description="How the others are grouped.")] = "hdbscan"
    unknown_min_cluster_size: Annotated[int, Field(ge=2, le=_MOST_IN_CLUSTER)] = 3
    unknown_eps: Annotated[
        float,
        Field(
            ge=0,
            le=2,
            allow_inf_nan=False,
            description="Cosine distance up to which the others belong together; not of hdbscan and auto. "
            "Where it is left out, as the library's recogniser has it: 0.5 for most.",
        ),
    ] = 0.5
    max_faces: Annotated[
        Faces | None, Field(description="So many faces at most, the best first; by default all.")
    ] = None


class Supervised(Shape):
    """Faces that were compared with known people."""

    faces_processed: Annotated[int, Of("faces")]
    assigned_to_persons: Annotated[int, Of("assigned")]
    persons_matched: Annotated[int, Of("people")]


class Unsupervised(Shape):
    """The others."""

    unlabeled_faces: Annotated[int, Of("faces")]
    clusters_found: Annotated[int, Of("clusters")]
    noise_count: Annotated[int, Of("noise")]


_NOT_REACHED = Result(faces=0, clusters=0, noise=0, seconds=0.0)


class DualClustered(Answer):
    """What came of both phases."""

    supervised: Annotated[Supervised, Of(lambda done: Supervised.of(done.known))]
    unsupervised: Annotated[Unsupervised, Of(lambda done: Unsupervised.of(done.unknown or _NOT_REACHED))]
    total_faces: Annotated[int, Of(lambda done: done.known.faces)]
    execution_time_seconds: Annotated[
        float, Of(lambda done: round(done.known.seconds + (done.unknown or _NOT_REACHED).seconds, 3))
    ]


class TrainRequest(Queueable):
    """How to train a head."""

    epochs: Annotated[int, Field(ge=10, le=100)] = 20
    margin: Annotated[float, Field(ge=0.1, le=0.5, allow_inf_nan=False)] = 0.2
    batch_size: Annotated[int, Field(ge=16, le=128)] = 32
    learning_rate: Annotated[float, Field(ge=1e-6, le=0.1, allow_inf_nan=False)] = 0.0001
    min_faces_per_person: Annotated[int, Field(ge=4, le=_MOST_IN_CLUSTER)] = 5


class Trained(Answer):
    """What came of it, and whether the head is in use from now on."""

    persons_used: Annotated[int, Of("people")]
    total_faces: Annotated[int, Of("faces")]
    training_faces: int
    validation_faces: int
    final_train_loss: Annotated[float | None, Of(lambda done: (done.epochs or [{}])[-1].get("loss"))]
    final_val_loss: Annotated[float | None, Of(lambda done: (done.epochs or [{}])[-1].get("validation_loss"))]
    model_checkpoint: Annotated[str, Of("checkpoint")]
    training_time_seconds: Annotated[float, Of("seconds")]
    activated: Annotated[bool, Of(lambda done: bool(done.activated))]
    reason: Annotated[str, Of("verdict"), Field(description="Why it was activated, or not.")]


class AssignRequest(Queueable):
    """How to give faces to people; what is left out goes by the recogniser, or by the head in use."""

    threshold: Annotated[
        Share | Literal["auto"] | None,
        Field(description="Cosine similarity from which on a face is a person's; `auto` measures it."),
    ] = "auto"
    margin: Annotated[Share | None, Field(description="By so much the next person is less similar.")] = None
    review_threshold: Annotated[
        Share | None, Field(description="Cosine similarity from which on a face is asked about.")
    ] = None
    max_faces: Annotated[int | None, Field(ge=1, le=_MOST_FACES)] = None


class Assigned(Answer):
    """What came of it."""

    faces_processed: Annotated[int, Of("faces")]
    assigned_to_persons: Annotated[int, Of("assigned")]
    persons_matched: Annotated[int, Of("assigned_people")]
    to_review: Annotated[int, Of("review")]
    threshold: float
    step: Annotated[int | None, Field(description="What takes it back; null where nothing changed.")]


class CentroidsRequest(Queueable):
    """Whether to wait."""


class Centroids(Answer):
    """What came of it."""

    persons: Annotated[int, Of("people")]
    prototypes: int
    changed: int
    largest_drift: float


class FolderShape(Shape):
    """A folder that was indexed before."""

    id: str
    path: str
    last_indexed_at: str


class IndexRequest(Queueable):
    """Which of the folders that the library knows to index again."""

    folder_ids: Annotated[
        list[Annotated[str, Field(pattern="^[0-9a-f]{16}$")]], Field(min_length=1, max_length=1000)
    ]
    assign: Annotated[bool, Field(description="Then give the new faces to known people.")] = False


class Indexed(Answer):
    """What came of it."""

    new_images: Annotated[int, Of("indexed")]
    new_faces: Annotated[int, Of("faces")]
    unchanged: int
    failed: int
    to_do: int
    assigned: int | None
