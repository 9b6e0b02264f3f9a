"""`facesets cluster --dual`, and clusters that are nobody yet."""

from typing import TYPE_CHECKING

from facesets.cli import console
from facesets.cli.opening import work_on_library
from facesets.cli.user import current_user
from facesets.operations.options.dual import DualOptions
from facesets.operations.options.library import ClusterLibraryOptions
from facesets.plurals import counted, people
from facesets.words.phrases import name_and_number

if TYPE_CHECKING:
    from collections.abc import Sequence

    from facesets.operations.people.grouping.dual import DualSummary
    from facesets.operations.people.lists.cluster_details import ClusterDetails, NearPerson


def run_dual(database: str | None, options: ClusterLibraryOptions, dual: DualOptions) -> None:
    """Give the library's faces to known people, group the others, and say how that went."""
    from facesets.operations.people.grouping.dual import cluster_dual

    console.only_the_result_unless_watched()
    with work_on_library(database) as (library, progress, stop):
        summary = cluster_dual(library, options, dual, progress=progress, stop=stop, by=current_user())
    console.show(summary, dual_lines(summary), asked_for=options.dry_run)
    console.finish()


def dual_lines(summary: "DualSummary") -> list[str]:
    """Both phases, in words."""
    known, unknown = summary.known, summary.unknown
    lines = []
    if known is not None:
        lines.append(
            f"Known people: {counted(known.faces, 'face')} compared at {known.threshold:.2f}, "
            f"{known.assigned} assigned ({known.share:.1%}) to {people(known.people)}; {known.seconds:.1f} s."
        )
    if unknown is not None:
        lines.append(
            f"Unknown: {counted(unknown.faces, 'face')} left, {counted(unknown.clusters, 'cluster')} "
            f"({unknown.new} new), {unknown.noise} in none ({unknown.share_noise:.1%}); "
            f"{counted(unknown.questions, 'question')} to review; {unknown.seconds:.1f} s."
        )
        if unknown.largest:
            show = f"`facesets people show {unknown.largest} --sheet who.png`"
            lines.append(f"The largest cluster is {unknown.largest}: {show} draws it.")
    if summary.step is not None:
        lines.append(f"Step {summary.step}: `facesets people undo` takes both back.")
    if summary.dry_run or summary.stopped:
        lines.append("Nothing was stored.")
    return [*lines, *summary.reasons]


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
