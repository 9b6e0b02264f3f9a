"""Summaries of the commands that group and assign the library's faces."""

from collections.abc import Sequence
from typing import Any

from facesets.plurals import counted, people
from facesets.result import Result
from facesets.words.phrases import how_to_undo, name_and_number, table


def assign(done: Result) -> list[str]:
    """Return the summary of `assign`."""
    if not done.people and not done.stopped:
        return ["The library has no people yet. Run `facesets index PHOTOS`, then `facesets cluster`."]
    line = (
        f"{counted(done.faces, 'unassigned face')}: {done.assigned} assigned to "
        f"{people(done.assigned_people)}, {done.review} for review, "
        f"{done.faces - done.assigned - done.review} without a match among {people(done.people)}."
        + _restored(done)
        + (" Nothing was stored." if done.dry_run or done.stopped else "")
    )
    by_head = [f"Compared with the head {done.head} (`facesets train --list`)."] if done.head else []
    # A threshold has a reason only if the user asked for it to be measured.
    measured = [f"Threshold {done.threshold:.2f}: {done.reason}."] if done.reason else []
    return [line + how_to_undo(done.step), *by_head, *measured]


def cluster(done: Result) -> list[str]:
    """Return the summary of `cluster` on the library; -v adds how faces were grouped (`cluster_details`)."""
    line = (
        f"{counted(done.faces, 'face')}: {done.kept} already assigned, "
        f"{done.joined} added to known people, "
        f"{done.new_faces} in {counted(done.new_persons, 'new person', 'new people')}, "
        f"{done.alone} unassigned"
        + (f", {len(done.review)} similar to several people." if done.review else ".")
        + (
            f" {counted(done.regrouped, 'face')} of unnamed people regrouped; "
            f"{counted(done.dissolved, 'unnamed person', 'unnamed people')} removed."
            if done.regrouped
            else ""
        )
        + _restored(done)
        + (
            f" {counted(done.questions, 'suggestion')} to review: `facesets people review`."
            if done.questions
            else ""
        )
        + how_to_undo(done.step)
        + (" Nothing was stored." if done.dry_run or done.stopped else "")
    )
    return [line]


def cluster_details(done: Result) -> list[str]:
    """Return what -v adds to the summary of `cluster`: how faces were grouped."""
    return list(done.reasons)


def _restored(done: Result) -> str:
    faces = f" {counted(done.restored, 'face')} restored to the people that you confirmed."
    return faces if done.restored else ""


def cluster_dual(done: Result) -> list[str]:
    """Return the summary of `cluster --dual`: both phases."""
    known, unknown = done.known, done.unknown
    lines = []
    if known is not None:
        lines.append(
            f"Known people: {known.assigned} of {counted(known.faces, 'face')} ({known.share:.1%}) assigned "
            f"to {people(known.people)}."
        )
    if unknown is not None:
        lines.append(
            f"Other faces: {counted(unknown.faces, 'face')} in {counted(unknown.clusters, 'cluster')} "
            f"({unknown.new} new), {unknown.noise} of them unclustered ({unknown.share_noise:.1%}); "
            f"{counted(unknown.questions, 'suggestion')} to review."
        )
        if unknown.largest:
            show = f"`facesets people show {unknown.largest} --sheet cluster.png`"
            lines.append(f"Largest cluster: {unknown.largest}. To see it, run {show}.")
    if done.step is not None:
        lines.append(f"Undo both with `facesets people undo` (change {done.step}).")
    if done.dry_run or done.stopped:
        lines.append("Nothing was stored.")
    return lines


def dual_details(done: Result) -> list[str]:
    """Return what -v adds to the summary of `cluster --dual`: threshold, times, how faces were grouped."""
    known, unknown = done.known, done.unknown
    lines = (
        [] if known is None else [f"Known people: threshold {known.threshold:.2f}, {known.seconds:.1f} s."]
    )
    lines += [] if unknown is None else [f"Other faces: {unknown.seconds:.1f} s."]
    return [*lines, *done.reasons]


def centroids(done: Result) -> list[str]:
    """Return the summary of `people centroids`."""
    made = f"{counted(done.prototypes, 'reference embedding')} of {people(done.people)}"
    return [f"Recomputed {made}; those of {people(done.changed)} changed."]


def centroids_details(done: Result) -> list[str]:
    """Return what -v adds to the summary of `people centroids`."""
    return [f"Largest drift of an embedding: {done.largest_drift:.4f} (cosine distance)."]


def train(done: Result) -> list[str]:
    """Return the summary of `train`."""
    known = f"{counted(done.faces, 'face')} of {people(done.people)}"
    if done.dry_run:
        return [f"Would train on {known}."]
    if done.stopped:
        return [f"Stopped while training on {known}. Run the same command again to resume."]
    return [
        (
            f"Trained on {done.training_faces} of {known}; held out {counted(done.validation_faces, 'face')} "
            f"and {people(done.held_out_people)}."
        ),
        "",
        _heads("unseen people, mean of five folds", done.comparison, on_people=True),
        "",
        _heads("other faces of the training people", done.comparison, on_people=False),
        "",
        done.verdict,
    ]


def _heads(title: str, comparison: Sequence[Any], *, on_people: bool) -> str:
    headings = (
        title,
        "accuracy",
        "TAR at FAR 0.001",
        "clustering F1",
        "precision",
        "recall",
        "score",
        *(("gain", "spread") if on_people else ()),
    )
    rows = []
    for line in comparison:
        figures = line.on_people if on_people else line.on_faces
        row = [
            line.kind,
            *(
                f"{value:.4f}"
                for value in (
                    figures.accuracy,
                    figures.true_accepts,
                    figures.clustering_f1,
                    figures.precision,
                    figures.recall,
                    figures.score,
                )
            ),
        ]
        if on_people:
            row += ["", ""] if line.kind == "plain" else [f"{line.gain:+.4f}", f"{line.spread:.4f}"]
        rows.append(row)
    return table(headings, rows)


def cluster_lines(found: Any) -> list[str]:  # noqa: ANN401 - a record of the core
    """Return the rows of `people show` about a cluster."""
    rows = [
        ("verified", found.verified or "-"),
        ("medoid", "-" if found.medoid is None else f"face {found.medoid}"),
    ]
    if found.epsilon is not None:
        rows.append(("birth", f"distance {found.epsilon:.3f}, lambda {found.birth_density:.3f}"))
        rows.append(("lifetime", f"{found.persistence:.3f} of lambda, stability {found.stability:.3f}"))
    return [f"{name:<10} {value}" for name, value in rows] + near_lines(found.nearest)


def near_lines(nearest: Sequence[Any]) -> list[str]:
    """Return the rows of `people show` about similar people."""
    return [
        f"{'similar':<10} {name_and_number(each.name, each.person)}: cosine similarity "
        f"{each.cosine_similarity:.2f}"
        for each in nearest
    ]
