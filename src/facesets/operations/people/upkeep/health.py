"""`maintain health`: how clustering stands, and what would help."""

from facesets.errors import Command, Sentence
from facesets.plurals import counted
from facesets.store.postgres.people.upkeep import ClusterHealth

_MANY_UNASSIGNED = 0.5
"""Share of faces that nobody has, from which something is probably wrong."""


def judged(health: ClusterHealth) -> tuple[str, list[str]]:
    """A verdict on these counts, and a sentence for everything that can be done."""
    if not health.total_faces:
        return "There are no faces.", []
    advice: list[str] = []
    if health.empty_clusters:
        empty = counted(health.empty_clusters, "cluster is", "clusters are")
        advice.append(Sentence(f"{empty} empty: {Command('maintain', 'empty')}."))
    if health.clusters_without_centroids:
        advice.append(_without("centroid", health.clusters_without_centroids))
    if health.clusters_without_medoids:
        advice.append(_without("medoid", health.clusters_without_medoids))
    if not health.total_clusters:
        advice.append(Sentence(f"No face has a person yet: {Command('cluster')}."))
    elif health.unassigned_pool_size > _MANY_UNASSIGNED * health.total_faces:
        share = health.unassigned_pool_size / health.total_faces
        way = f"{Command('cluster')}, then {Command('people review')}"
        advice.append(Sentence(f"{share:.0%} of the faces are unassigned: {way}."))
    return ("Something can be done." if advice else "All is well."), advice


def _without(what: str, count: int) -> str:
    clusters = counted(count, "cluster has", "clusters have")
    return Sentence(f"{clusters} no {what}: {Command('maintain', f'{what}s')}.")
