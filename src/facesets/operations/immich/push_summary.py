"""What `immich-push` plans and does, as it is shown."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from facesets.operations.immich.push_plan import PersonPlan


@dataclass(frozen=True, slots=True)
class PushedMerge:
    """A person of the server's that becomes part of another; `known` of its photos are known to us."""

    id: str
    name: str
    photos: int
    known: int


@dataclass(frozen=True, slots=True)
class PushedPerson:
    """What is planned for one person.

    Attributes
    ----------
    action : str
        `create`, `name`, `keep` or `leave`.
    id, known_as : str
        Who it is on the server, and by which name; empty for one to create.
    in_place, give, add : int
        Faces that are the person's already, faces to give, faces to add.
    left : mapping of reason to number
        Faces left alone.
    """

    name: str
    action: str
    id: str
    known_as: str
    in_place: int
    give: int
    add: int
    merge: list[PushedMerge]
    left: dict[str, int]


@dataclass(frozen=True, slots=True)
class PushSummary:
    """What `immich-push` plans, and what it did.

    Attributes
    ----------
    run : str
        Name of the run, for an undo; empty while nothing was changed.
    changes : int
        Changes planned.
    photos, vanished, differing, of_others : int
        Photos looked at; those that the server does not have any more; those of which it shows another
        picture, cropped or turned; and those of other accounts, which are left alone.
    unfit : list of str
        Names that no server could take.
    made : mapping of kind to number
        Changes made; with `changed_meanwhile`, those left out because the server was not any more as it
        was when they were planned.
    """

    people: list[PushedPerson] = field(default_factory=list)
    changes: int = 0
    photos: int = 0
    vanished: int = 0
    differing: int = 0
    of_others: int = 0
    unfit: list[str] = field(default_factory=list)
    applied: bool = False
    run: str = ""
    made: dict[str, int] = field(default_factory=dict)
    failed: int = 0
    failures: list[tuple[str, str]] = field(default_factory=list)
    stopped: bool = False


def shown(plan: PersonPlan) -> PushedPerson:
    """A plan as it is shown."""
    return PushedPerson(
        name=plan.name,
        action=plan.action,
        id=plan.target.id if plan.target else "",
        known_as=plan.target.name if plan.target else "",
        in_place=plan.in_place,
        give=len(plan.give),
        add=len(plan.add),
        merge=[PushedMerge(m.source.id, m.source.name, m.photos, m.known) for m in plan.merge],
        left=dict(sorted(plan.left.items())),
    )


def with_paths(
    failures: Sequence[tuple[str, str]], records: Iterable[Mapping[str, object]]
) -> list[tuple[str, str]]:
    """Failures with the path of each photo that the server's id names, by what staging recorded."""
    wanted = {what for what, _ in failures}
    paths = {
        str(row["asset_id"]): str(row["original_path"])
        for row in (records if wanted else ())
        if row["asset_id"] in wanted and row.get("original_path")
    }
    return [(paths.get(what, what), reason) for what, reason in failures]
