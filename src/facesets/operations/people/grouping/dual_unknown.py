"""The second phase of `cluster --dual`: clusters of unassigned faces, and suggestions for them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from facesets.clustering import Constraints, same_image_pairs, singletons_as_noise
from facesets.clustering.centroids import centroids
from facesets.clustering.constraints import among
from facesets.clustering.known_recognizers import known_recognizer
from facesets.clustering.methods import METHODS, Grouping, GroupingTask
from facesets.clustering.poor_faces import Clarity
from facesets.clustering.vectors import Float32
from facesets.operations.options.grouping import Method
from facesets.operations.options.people import ClusterLibraryOptions, DualOptions
from facesets.operations.people.grouping.clusters import ClusterPlan, matched_ids, store_plan
from facesets.operations.people.grouping.hierarchy import best
from facesets.operations.people.grouping.library_faces import LoadedFaces
from facesets.operations.people.grouping.matching import Steps
from facesets.operations.people.training.heads import Head
from facesets.plurals import counted
from facesets.records import Int64
from facesets.result import Result
from facesets.store.postgres.connection import Connection
from facesets.store.postgres.models import DetectorRow
from facesets.store.postgres.people.assigned_faces import people_now
from facesets.store.postgres.people.clusters import Centers, FaceClusters, fresh_centers
from facesets.store.postgres.people.face_details import low_quality_people
from facesets.store.postgres.people.prototypes import fresh_prototypes
from facesets.store.postgres.people.steps import Step
from facesets.store.postgres.people.unassigned_faces import hidden_people, note_unassigned
from facesets.store.postgres.people.unknown_clusters import (
    PREFIX,
    ClusterQuestion,
    denied_for_clusters,
    name_after_people,
    new_numbers,
    replace_questions,
)
from facesets.work import Work


@dataclass(frozen=True, slots=True)
class Others:
    """The faces that are still unassigned, and data about them.

    `given` are the numbers of faces that get a person in the same step.
    """

    loaded: LoadedFaces
    given: Int64
    constraints: Constraints
    options: ClusterLibraryOptions
    dual: DualOptions
    head: Head | None

    @property
    def rows(self) -> Int64:
        """Return their rows among all faces; only the best ones if the number is limited."""
        faces, most = self.loaded.faces, self.dual.dual_max_faces
        free = (faces.person < 0) & (self.loaded.clarity > Clarity.NOTHING)
        rows = np.flatnonzero(free & ~np.isin(faces.face_id, self.given))
        return rows if most is None else best(self.loaded.scope.quality, rows, most)

    def group(self, work: Work, recognizer: str | None) -> Grouping:
        """Group them by the chosen method; clusters that are too small become noise."""
        rows, dual = self.rows, self.dual
        faces, method = self.loaded.faces, METHODS[dual.unknown_method]
        embedding = faces.embedding[rows]
        eps = dual.unknown_eps
        if self.head is not None:
            embedding, recognizer = self.head.project(embedding), None
            eps = _eps(dual.unknown_method, self.head) if eps is None else eps
        if eps is None:
            eps = known_recognizer(recognizer).neighbour_cosine_distance
        reported = Steps(work, f"Grouping {counted(len(rows), 'face')}")
        task = GroupingTask(
            embeddings=embedding,
            apart=self._constraints(rows),
            clarity=self.loaded.clarity[rows],
            recognizer=recognizer,
            threshold=eps if method.threshold == "max_cosine_distance" else 1.0 - eps,
            min_cluster_size=dual.unknown_min_size,
            min_samples=self.options.min_samples,
            on_progress=reported,
        )
        found = method.group(task)
        reported.end()
        return replace(found, labels=singletons_as_noise(found.labels, min_size=dual.unknown_min_size))

    def _constraints(self, rows: Int64) -> Constraints:
        """Return corrections of pairs of them, and pairs on one photo, which are two people."""
        faces = self.loaded.faces
        inside = among(self.constraints, rows, len(faces.person))
        if self.options.same_image_ok:
            return inside
        return inside.plus(same_image_pairs(faces.embedding[rows], faces.image[rows]))

    def preview(self, connection: Connection, detector: DetectorRow, labels: Int64) -> Result:
        """Return what `store` would return, without the largest cluster; nothing is changed."""
        loaded, made = self.loaded, 0
        before = _unknown_only(loaded.clusters, self.rows)

        def named(count: int) -> list[str]:
            nonlocal made
            made = count
            return [f"{PREFIX}new_{number}" for number in range(count)]

        ids = matched_ids(labels, before.number, before.ids, named)
        middle = centroids(loaded.faces.embedding[self.rows], labels)
        faces = np.bincount(labels[labels >= 0], minlength=len(ids))
        suggestions = cluster_questions(connection, detector, Centers(ids, faces, middle), self.head)
        return Result(new=made, questions=len(suggestions), largest="")

    def store(self, step: Step, detector: DetectorRow, labels: Int64) -> Result:
        """Put the faces into their clusters, as part of a change, and store suggestions.

        Returns how many clusters are new, how many questions there are, and which cluster is the largest.
        """
        loaded, rows, connection = self.loaded, self.rows, step.connection
        # Faces assigned meanwhile are omitted.
        now = people_now(connection, loaded.faces)
        free = np.isin(loaded.faces.face_id[rows], now.face_id[now.person < 0])
        rows, labels = rows[free], labels[free]
        before = _unknown_only(loaded.clusters, rows)
        if self.dual.dual_max_faces is not None:
            # Other faces of the same cluster may be excluded from this run.
            grouped = (labels >= 0) | (before.number < 0)
            rows, labels = rows[grouped], labels[grouped]
            before = FaceClusters(before.number[grouped], before.ids)
        made: list[str] = []

        def named(count: int) -> list[str]:
            made.extend(new_numbers(connection, count))
            return made

        ids = matched_ids(labels, before.number, before.ids, named)
        name_after_people(step, loaded.model_id, loaded.faces.detector_id)
        store_plan(step, loaded.model_id, ClusterPlan(loaded.faces.face_id[rows], labels, ids))
        note_unassigned(step, loaded.faces.detector_id, loaded.faces.face_id[rows])
        centers = fresh_centers(connection, detector, [*ids, *self._untouched(ids)])
        suggestions = cluster_questions(connection, detector, centers, self.head)
        questions = replace_questions(connection, loaded.model_id, suggestions)
        largest = ids[int(np.bincount(labels[labels >= 0]).argmax())] if ids else ""
        return Result(new=len(made), questions=questions, largest=largest)

    def _untouched(self, ids: Sequence[str]) -> list[str]:
        """Return further unnamed clusters, if not all faces take part."""
        if self.dual.dual_max_faces is None:
            return []
        clusters = self.loaded.clusters
        showing = {
            clusters.ids[each] for each in clusters.number[self.loaded.clarity > Clarity.NOTHING] if each >= 0
        }
        return [each for each in clusters.ids if each.startswith(PREFIX) and each in showing.difference(ids)]


def _unknown_only(clusters: FaceClusters, rows: Int64) -> FaceClusters:
    """Return the unnamed clusters of these faces, without those of other runs."""
    unknown = np.array([each.startswith(PREFIX) for each in clusters.ids] + [False])
    number = clusters.number[rows]
    return FaceClusters(np.where(unknown[number], number, -1), clusters.ids)


def _eps(method: Method, head: Head) -> float:
    """Return the cosine distance up to which projected faces belong together.

    For methods that decide by pairs, as strict as for assigning faces, which are compared with means.
    """
    made = head.thresholds
    return made.max_cosine_distance if method == "agglomerative" else 1 - made.person


_CLUSTERS_AT_ONCE = 1024
"""Clusters compared with all people at once: 80 MiB with 20 000 prototypes."""


def cluster_questions(
    connection: Connection,
    detector: DetectorRow,
    centers: Centers,
    head: Head | None,
) -> list[ClusterQuestion]:
    """Return for each cluster the most similar person, among those it may be.

    With a head in use their projections are compared.
    """
    low_quality = low_quality_people(connection, detector)
    known = fresh_prototypes(connection, detector).without(low_quality)
    if not len(known.person) or not len(centers.ids):
        return []
    limits = _limits(detector, head)
    prototypes = known.embedding if head is None else head.project(known.embedding)
    place = {person: row for row, person in enumerate(known.persons)}
    hidden = [place[person] for person in hidden_people(connection) if person in place]
    refused: dict[str, list[int]] = {}
    for cluster, person in denied_for_clusters(connection):
        if person in place:
            refused.setdefault(cluster, []).append(place[person])
    found: list[ClusterQuestion] = []
    for start in range(0, len(centers.ids), _CLUSTERS_AT_ONCE):
        some = slice(start, start + _CLUSTERS_AT_ONCE)
        middle = centers.centroid[some] if head is None else head.project(centers.centroid[some])
        similarity = _nearest_by_person(middle, prototypes, known.person, len(known.persons))
        similarity[:, hidden] = -np.inf
        for row, cluster in enumerate(centers.ids[some]):
            similarity[row, refused.get(cluster, [])] = -np.inf
            best = int(similarity[row].argmax())
            nearness = float(similarity[row, best])
            if np.isfinite(nearness):
                faces = int(centers.faces[start + row])
                likely = _likely(nearness, *limits)
                found.append(ClusterQuestion(cluster, known.persons[best], nearness, faces, likely))
    return found


def _limits(detector: DetectorRow, head: Head | None) -> tuple[float, float]:
    """Return the similarity of strangers, and the one from which a cluster belongs to a person."""
    usual = known_recognizer(detector.settings.recognizer)
    made = usual if head is None else head.thresholds
    return made.middle + 3 * made.spread, made.assign


def _nearest_by_person(rows: Float32, prototypes: Float32, person: Int64, people: int) -> Float32:
    """Return the highest similarity of each row to a prototype of each person; `person` ascends."""
    first = np.searchsorted(person, np.arange(people))
    nearest: Float32 = np.maximum.reduceat(rows @ prototypes.T, first, axis=1)
    return nearest


def _likely(similarity: float, strangers: float, enough: float) -> float:
    """Estimate how likely a cluster is its nearest person; 0 if strangers are as near."""
    share = (similarity - strangers) / max(enough - strangers, 1e-6)
    return round(min(max(share, 0.0), 1.0), 4)
