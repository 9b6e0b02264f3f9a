"""`stats`: totals of the library."""

from dataclasses import dataclass, replace

from facesets.clustering.known_recognizers import known_recognizer
from facesets.files import printable
from facesets.operations.ingest.norms import lack_of_norms, norms_measure_quality
from facesets.operations.ingest.tag_stages import STAGE_OF
from facesets.operations.library.tagging import current_version
from facesets.operations.models.finding import DoctorFinding
from facesets.operations.options.index import STAGES
from facesets.operations.people.review.open_questions import waiting
from facesets.store.postgres.connection import Connection
from facesets.store.postgres.library import Library
from facesets.store.postgres.people.face_details import library_norm_limits
from facesets.store.postgres.queue.job_list import count_jobs
from facesets.store.postgres.statistics import (
    LibraryStatistics,
    StageCounts,
    detection_counts,
    faces_without_norm,
    library_statistics,
    stage_counts,
)


def stats(library: Library) -> LibraryStatistics:
    """Count everything in the library."""
    totals = library.database.run(library_statistics)
    queue = {str(state): count for state, count in library.database.run(count_jobs).items()}
    return replace(
        totals,
        questions=waiting(library.database).questions,
        queue=queue,
        faces_without_norm=library.database.run(_lacking_norm, library),
    )


def norms_finding(library: Library) -> DoctorFinding:
    """Return the finding of `doctor` about faces without a norm."""
    lacking = library.database.run(_lacking_norm, library)
    level, repair = ("note", "facesets enrich") if lacking else ("ok", "")
    return DoctorFinding("library", level, lack_of_norms(lacking), repair)


def norm_limits_in_words(library: Library) -> str:
    """Describe the minimum norms of faces and their source; empty without faces."""

    def work(connection: Connection) -> str:
        detector = library.detector(connection)
        if detector is None:
            return ""
        name, limits = printable(detector.settings.recognizer), library_norm_limits(connection, detector)
        if limits is None:
            return f"Face quality is judged by size: {name} has no usable norms, or too few."
        known = known_recognizer(detector.settings.recognizer).norm_limits is not None
        return (
            f"Minimum norm of a face: {limits.founding:g} to create a person, {limits.joining:g} to "
            f"join one ({('published value' if known else 'measured on this library')}, {name})."
        )

    return library.database.run(work)


def _lacking_norm(connection: Connection, library: Library) -> int:
    """Count the faces without a norm that `enrich` can add."""
    detector = library.detector(connection)
    count = 0 if detector is None else faces_without_norm(connection, detector.id)
    return count if count and detector is not None and norms_measure_quality(detector.settings) else 0


@dataclass(frozen=True, slots=True)
class StageTable:
    """The progress of each analysis step, in order."""

    stages: list[StageCounts]


def stages(library: Library) -> StageTable:
    """Count the photos of each analysis step."""

    def work(connection: Connection) -> StageTable:
        return StageTable([counts_of(connection, library, stage) for stage in STAGES])

    return library.database.run(work)


def counts_of(connection: Connection, library: Library, stage: str) -> StageCounts:
    """Count the photos of one analysis step."""
    if stage == "detection":
        return detection_counts(connection, library.detector(connection))
    return stage_counts(connection, stage, _current(connection, stage))


def _current(connection: Connection, stage: str) -> str:
    """Return the current version of a step, if the library knows it."""
    about = next((target for target, name in STAGE_OF.items() if name == stage), None)
    return "" if about is None else current_version(connection, about)
