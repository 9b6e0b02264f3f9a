"""Making a selection of clusters obey what must and what must not be together."""

from dataclasses import replace

import numpy as np

from facesets.clustering.constraints import Groups, Partners
from facesets.clustering.hierarchy import ClusterSelection
from facesets.clustering.vectors import Int64


def hold(selection: ClusterSelection, groups: Groups) -> ClusterSelection:
    """Bring together faces that must be, and call those noise that must not be where they are.

    Of two faces that must not be together the less central one goes. Faces that must be together and find
    no cluster are one by themselves; such clusters come last and have no entry in `selection.cluster`.
    """
    labels = _unified(selection, groups)
    labels = _parted(labels, selection, groups)
    count = len(selection.cluster)
    size = np.bincount(labels[labels >= 0], minlength=count)
    first = np.full(len(size), len(labels), np.int64)
    member = np.flatnonzero(labels >= 0)
    np.minimum.at(first, labels[member], member)
    order = np.lexsort((first, -size, np.arange(len(size)) >= count))
    number = np.empty(len(order), np.int64)
    number[order] = np.arange(len(order))
    kept = order[:count]
    strength = np.where((labels == selection.labels) & (labels >= 0), selection.strength, 0.0)
    return replace(
        selection,
        cluster=selection.cluster[kept],
        birth_density=selection.birth_density[kept],
        death_density=selection.death_density[kept],
        stability=selection.stability[kept],
        labels=np.where(labels >= 0, np.append(number, -1)[labels], -1),
        strength=strength,
    )


def _unified(selection: ClusterSelection, groups: Groups) -> Int64:
    """Give each group the label of its most central face."""
    order = np.lexsort((-selection.strength, selection.labels < 0, groups.group))
    group = groups.group[order]
    leader = order[np.flatnonzero(np.r_[True, group[1:] != group[:-1]])] if len(order) else order
    of_group = np.full(len(order), -1, np.int64)
    of_group[groups.group[leader]] = selection.labels[leader]
    return of_group[groups.group]


def _parted(labels: Int64, selection: ClusterSelection, groups: Groups) -> Int64:
    """Leave in each cluster, most central first, those that may be with all before them."""
    count = len(labels)
    central = np.zeros(count)
    np.maximum.at(central, groups.group, selection.strength)
    apart = Partners.of_pairs(groups.forbidden, count)
    bound = np.unique(groups.forbidden)
    bound = bound[labels[bound] >= 0]
    of_group = labels.copy()
    admitted = np.zeros(count, bool)
    for one in bound[np.lexsort((bound, -central[bound]))].tolist():
        others = apart.of(one)
        if (admitted[others] & (of_group[others] == of_group[one])).any():
            of_group[one] = -1
        else:
            admitted[one] = True
    # What is left over is noise, but for those who must be together.
    several = np.bincount(groups.group, minlength=count) > 1
    alone = np.flatnonzero(several & (of_group < 0))
    alone = alone[groups.group[alone] == alone]
    of_group[alone] = of_group.max(initial=-1) + 1 + np.arange(len(alone))
    return of_group[groups.group]
