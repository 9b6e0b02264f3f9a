"""What commands on the library's people did, in words."""

from collections.abc import Sequence
from typing import Any

from facesets.plurals import counted, people
from facesets.result import Result
from facesets.words.phrases import how_to_undo, name_and_number, table


def assign(done: Result) -> list[str]:
    """Words of `assign`."""
    if not done.people and not done.stopped:
        return ["There is nobody yet to give faces to. `facesets cluster` makes people of the faces."]
    restored = f" {counted(done.restored, 'face')} given back to whom you said they are."
    line = (
        f"{counted(done.faces, 'face')} without a person: {done.assigned} given to "
        f"{people(done.assigned_people)}, {done.review} to be asked about, "
        f"{done.faces - done.assigned - done.review} like nobody of {people(done.people)}."
        + (restored if done.restored else "")
        + (" Nothing was stored." if done.dry_run or done.stopped else "")
    )
    measured = [f"Threshold {done.threshold:.2f}: {done.reason}."] if done.reason else []
    by_head = [f"Compared by the head {done.head} (`facesets train --list`)."] if done.head else []
    return [line + how_to_undo(done.step), *by_head, *measured]


def cluster(done: Result) -> list[str]:
    """Words of `cluster`, of the library's people."""
    line = (
        f"{counted(done.faces, 'face')}: {done.kept} had a person, "
        f"{done.joined} joined a known one, "
        f"{done.new_faces} became {counted(done.new_persons, 'new person', 'new people')}, "
        f"{done.alone} stayed alone"
        + (f", {len(done.review)} are similar to several people." if done.review else ".")
        + (
            f" {counted(done.regrouped, 'face')} of unnamed people changed person, and "
            f"{counted(done.dissolved, 'of these people is', 'of these people are')} gone."
            if done.regrouped
            else ""
        )
        + (
            f" {counted(done.restored, 'face')} given back to whom you said they are."
            if done.restored
            else ""
        )
        + (
            f" {counted(done.questions, 'question waits', 'questions wait')}: `facesets people review`."
            if done.questions
            else ""
        )
        + how_to_undo(done.step)
        + (" Nothing was stored." if done.dry_run or done.stopped else "")
    )
    return [line, *done.reasons]


def cluster_dual(done: Result) -> list[str]:
    """Words of `cluster --dual`: both phases."""
    known, unknown = done.known, done.unknown
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
    if done.step is not None:
        lines.append(f"Step {done.step}: `facesets people undo` takes both back.")
    if done.dry_run or done.stopped:
        lines.append("Nothing was stored.")
    return [*lines, *done.reasons]


def centroids(done: Result) -> list[str]:
    """Words of `people centroids`."""
    line = (
        f"{counted(done.prototypes, 'prototype')} of {people(done.people)} made; {done.changed} "
        f"had others before. The largest drift of a vector was {done.largest_drift:.4f}."
    )
    return [line]


def train(done: Result) -> list[str]:
    """Words of `train`."""
    known = f"{counted(done.faces, 'face')} of {people(done.people)}"
    if done.dry_run:
        return [f"{known} would be learnt from."]
    if done.stopped:
        return [f"{known}: stopped. The same command goes on where it was."]
    return [
        (
            f"{known}: {done.training_faces} learnt from, {done.validation_faces} and "
            f"{people(done.held_out_people)} held out."
        ),
        "",
        _heads("people not seen, mean of five folds", done.comparison, on_people=True),
        "",
        _heads("other faces of people learnt from", done.comparison, on_people=False),
        "",
        done.verdict,
    ]


def _heads(title: str, comparison: Sequence[Any], *, on_people: bool) -> str:
    headings = (
        title,
        "accuracy",
        "TAR at FAR 0.001",
        "clustering F1",
        "assigned right",
        "found",
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
    """What is known of a cluster, in words."""
    rows = [
        ("verified", found.verified or "-"),
        ("medoid", "-" if found.medoid is None else f"face {found.medoid}"),
    ]
    if found.epsilon is not None:
        rows.append(("born", f"at a distance of {found.epsilon:.3f}; lambda {found.birth_density:.3f}"))
        rows.append(("lives", f"for {found.persistence:.3f} of lambda; stability {found.stability:.3f}"))
    return [f"{name:<10} {value}" for name, value in rows] + near_lines(found.nearest)


def near_lines(nearest: Sequence[Any]) -> list[str]:
    """Whom a cluster or a person resembles, in words."""
    return [
        f"{'near':<10} {name_and_number(each.name, each.person)}: cosine similarity "
        f"{each.cosine_similarity:.2f}"
        for each in nearest
    ]
