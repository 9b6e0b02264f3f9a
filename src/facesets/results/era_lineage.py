"""Which set lives on in which, when a person is cut into eras again.

The years of an era change with a single photo, and with them what the era is known by. What a user said
about the old era, by its name and by faces taken out of it, is said about the person, and follows.
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from facesets.results.earlier_export import EarlierExport
from facesets.results.export_manifest import SetEntry


@dataclass(frozen=True, slots=True)
class Succession:
    """What new sets take over from sets that an export has, by their sources.

    Attributes
    ----------
    heirs : mapping
        New sources to those of the sets, of whatever kind, that are the same people.
    names : mapping
        Names that the user gave to the sets that they follow.
    taken_out : mapping
        Ids of faces that the user took out of sets of the same split.
    """

    heirs: Mapping[str, str] = field(default_factory=dict)
    names: Mapping[str, str] = field(default_factory=dict)
    taken_out: Mapping[str, frozenset[str]] = field(default_factory=dict)


def succession(export: EarlierExport, base: str, faces: Mapping[str, Collection[str]]) -> Succession:
    """Let each set of a split that goes live on in the one with which it has most faces in common.

    Parameters
    ----------
    base : str
        The source of all eras of the split, up to their years.
    faces : mapping
        Ids of the faces of each set of the new split, by its source.

    Raises
    ------
    DamagedFile, NewerFormat
        A set's manifest cannot be read.
    """
    said = export.said
    before = [entry for entry in export.entries if entry.source.rpartition("#")[0] == base]
    held = {entry.source: export.sets.faces_of(entry.name) for entry in before}
    gone = [entry for entry in before if entry.source not in faces]
    new = [source for source in faces if source not in held]
    common = {
        (entry.source, source): shared
        for entry in gone
        for source in new
        if (shared := len(held[entry.source].intersection(faces[source])))
    }
    name_of = {entry.source: entry.name for entry in gone if _is_users_name(entry)}
    names, heir = dict[str, str](), dict[str, str]()
    for old, source in sorted(common, key=lambda pair: (-common[pair], pair)):
        heir.setdefault(old, source)
        if old in name_of and source not in names:
            names[source] = name_of.pop(old)
    inherited = {source: set[str]() for source in faces}
    # What was moved from era to era is still the same person.
    stay = frozenset[str]().union(*(said.given_to(entry.name) for entry in before))
    for entry in before:
        unwanted = said.out_of(entry.name) - stay
        for source in faces:
            if heir.get(entry.source) == source:
                inherited[source] |= unwanted
            else:
                inherited[source] |= unwanted.intersection(faces[source])
    return Succession(names=names, taken_out={source: frozenset(ids) for source, ids in inherited.items()})


def _is_users_name(entry: SetEntry) -> bool:
    """Whether the folder was renamed: an era is called after its years, which its source ends in."""
    years = PurePosixPath(entry.source.rpartition("#")[2]).name
    return re.fullmatch(rf".*_{re.escape(years)}(_\d+)?", PurePosixPath(entry.name).name) is None
