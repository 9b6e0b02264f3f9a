"""Clusters that are nobody yet, in words."""

from typing import TYPE_CHECKING

from facesets.words.phrases import name_and_number

if TYPE_CHECKING:
    from collections.abc import Sequence

    from facesets.operations.people.lists.cluster_details import ClusterDetails, NearPerson


def cluster_lines(found: "ClusterDetails") -> list[str]:
    """What is known of a cluster, in words."""
    rows = [
        ("verified", found.verified or "-"),
        ("medoid", "-" if found.medoid is None else f"face {found.medoid}"),
    ]
    if found.epsilon is not None:
        rows.append(("born", f"at a distance of {found.epsilon:.3f}; lambda {found.birth_density:.3f}"))
        rows.append(("lives", f"for {found.persistence:.3f} of lambda; stability {found.stability:.3f}"))
    return [f"{name:<10} {value}" for name, value in rows] + near_lines(found.nearest)


def near_lines(nearest: "Sequence[NearPerson]") -> list[str]:
    """Whom a cluster or a person resembles, in words."""
    return [
        f"{'near':<10} {name_and_number(each.name, each.person)}: cosine similarity "
        f"{each.cosine_similarity:.2f}"
        for each in nearest
    ]
