"""Which known person a group of faces belongs to, from the faces of known people in it."""

from dataclasses import dataclass

import numpy as np

from facesets.clustering.vectors import Bool, Float64, Int64

_NONE = -1
_MOST = 0.5


@dataclass(frozen=True, slots=True)
class Owners:
    """What groups are whose.

    Attributes
    ----------
    owner : int64 array of shape (groups,)
        The known person whose faces the group's are; -1 for none, and for a disputed group.
    disputed : bool array of shape (groups,)
        Two people whom a human vouches for claim the group.
    claims : int64 array of shape (c, 2)
        Pairs of a disputed group and one who claims it.
    main : int64 array of shape (persons,)
        The group that holds most of a person's faces; -1 for a person without faces here.
    """

    owner: Int64
    disputed: Bool
    claims: Int64
    main: Int64


def find_owners(label: Int64, person: Int64, weight: Float64, fixed: Bool, whole: Bool) -> Owners:
    """Tell whose each group is.

    A person whose faces stay together claims a group that holds most of their faces, or in which most faces
    are theirs: so one wrong face draws no group of strangers in, and the only photo of somebody claims all
    others. Any other person claims the group with most of their faces. Of those who claim a group, the one
    who is fixed owns it, else the one with most faces in it, else the oldest, who has the first row.

    Parameters
    ----------
    label : int64 array of shape (n,)
        Group of each face, from 0; each number occurs.
    person : int64 array of shape (n,)
        Known person of each face; -1 for none.
    weight : float64 array of shape (n,)
        How many faces of the person a row stands for.
    fixed : bool array of shape (persons,)
        A human vouches for them.
    whole : bool array of shape (persons,)
        Their faces stay together; those of whom is fixed do anyway.
    """
    groups, persons = int(label.max(initial=-1)) + 1, len(fixed)
    theirs = np.flatnonzero(person >= 0)
    keys, first, place = np.unique(
        label[theirs] * max(persons, 1) + person[theirs], return_index=True, return_inverse=True
    )
    group, who = np.divmod(keys, max(persons, 1))
    held = np.bincount(place, weight[theirs], minlength=len(keys))
    age = np.full(persons, len(label), np.int64)
    np.minimum.at(age, who, theirs[first])
    main = _first_of(who, group, np.lexsort((group, -held, who)), persons)
    most = held >= _MOST * np.bincount(who, held, minlength=persons)[who]
    most |= held >= _MOST * np.bincount(label, weight, minlength=groups)[group]
    claims = np.where(fixed[who] | whole[who], most, main[who] == group)
    group, who, held = group[claims], who[claims], held[claims]
    disputed = np.bincount(group[fixed[who]], minlength=groups) > 1
    owner = _first_of(group, who, np.lexsort((age[who], -held, ~fixed[who], group)), groups)
    owner[disputed] = _NONE
    torn = disputed[group] & fixed[who]
    return Owners(owner, disputed, np.stack([group[torn], who[torn]], axis=1), main)


def _first_of(key: Int64, value: Int64, order: Int64, count: int) -> Int64:
    """For each of so many keys the value that comes first in an order by key; -1 for a key without one."""
    result = np.full(count, _NONE, np.int64)
    result[key[order][::-1]] = value[order][::-1]
    return result
