"""Summaries of the commands that analyse photos."""

from decimal import Decimal

from facesets.errors import Field
from facesets.installation import page
from facesets.plurals import counted
from facesets.result import Result
from facesets.words.phrases import RESUME_HINT, as_before, would


def embed(done: Result, *, label: str, dry_run: bool) -> list[str]:
    """Summarise `embed`."""
    ignored = counted(done.ignored, "file or folder", "files and folders")
    return [
        (
            f"{counted(done.to_do, 'file')} to read for {label}: "
            if dry_run
            else f"Added {counted(done.embedded, 'photo')} with {counted(done.faces, 'face')} to {label}: "
        )
        + (
            f"{counted(done.aliases, 'copy of a known photo', 'copies of known photos')}, "
            if done.aliases
            else ""
        )
        + f"{done.unchanged} unchanged"
        + (f", {done.failed} unreadable{as_before(done.failures)}" if done.failed else "")
        + "."
        + (f" {ignored} ignored." if done.ignored else "")
        + (f" {counted(done.gone, 'file')} missing." if done.gone else "")
        + (f" {counted(done.moved, 'file')} moved here from elsewhere." if done.moved else "")
        + (f" {counted(done.pruned, 'path')} elsewhere removed." if done.pruned else "")
        + (f" {RESUME_HINT}" if done.stopped else "")
    ]


def enrich(done: Result, *, label: str) -> list[str]:
    """Summarise `enrich`."""
    return [
        f"{label}: {would(done.dry_run, 'processed', 'would process')} {counted(done.faces, 'face')} in "
        f"{counted(done.images, 'photo')}, {done.already} already done: "
        f"{done.enriched} enriched ({done.pose_from_keypoints} with the pose from keypoints), "
        f"{done.not_found_again} not found again"
        + (f", {done.aged} with age and sex" if done.aged else "")
        + (f", {done.norms} with a norm." if done.norms else ".")
    ]


def relocate(done: Result, *, label: str) -> list[str]:
    """Summarise `relocate`."""
    end = " Nothing was changed." if done.dry_run else ""
    if not done.new:
        removed = would(done.dry_run, "Removed", "Would remove")
        return [f"{removed} {counted(done.forgotten, 'path')} below OLD from {label}.{end}"]
    agree = f"{done.alike} of {done.compared} compared files match in size and time"
    relocated = would(done.dry_run, "Relocated", "Would relocate")
    moved = f"{relocated} {counted(done.relocated, 'path')} in {label}, {done.merged} already known there"
    return [f"{moved}; {agree}.{end}"]


def index_stage(done: Result, *, label: str) -> list[str]:
    """Summarise `index --stage`."""
    if done.dry_run:
        to_do = counted(done.to_do, "photo")
        return [f"Would run the analysis step {done.stage} on {to_do} of {label}. Nothing was stored."]
    return [
        f"Ran the analysis step {done.stage} on {counted(done.completed, 'photo')} of {label}"
        + (f", {done.failed} failed" if done.failed else "")
        + (f", {done.unavailable} unavailable" if done.unavailable else "")
        + "."
        + (f" {counted(done.to_do, 'photo')} left to do." if done.to_do else "")
        + (f" {RESUME_HINT}" if done.stopped else "")
    ]


def delete_stage(done: Result, *, label: str) -> list[str]:
    """Summarise `index --stage NAME --delete`."""
    did = would(done.dry_run, "Deleted", "Would delete")
    end = " Nothing was changed." if done.dry_run else ""
    results = counted(done.deleted, "result")
    return [f"{did} {results} of the analysis step {done.stage} from {label}.{end}"]


def tags_run(done: Result, *, label: str) -> list[str]:
    """Summarise `tags run`."""
    return [line for each in done.stages for line in index_stage(each, label=label)]


def tags_set(done: Result) -> list[str]:
    """Summarise `tags set`."""
    parts = [
        f"{', '.join(done[verb])} {verb}"
        for verb in ("added", "changed", "removed", "unchanged")
        if done[verb]
    ]
    return [f"Categories: {'; '.join(parts)}." + (" Nothing was stored." if done.dry_run else "")]


def describe(done: Result, *, label: str) -> list[str]:
    """Summarise `describe`."""
    held_back = f" {done.held_back} wait until there are enough for a batch; --no-batch describes them now."
    held_back = held_back if done.held_back else ""
    if done.dry_run:
        waiting = f"{counted(done.to_do, 'photo')} without a description in {label}."
        return [f"{waiting}{held_back} Nothing was sent."]
    if not (done.to_do or done.under_way or done.sent or done.described or done.failed):
        return [f"Nothing to describe in {label}."]
    at_most = f" for at most {_money(done.under_way_usd)}" if done.under_way_usd else ""
    under_way = (
        f" {done.under_way} in batches{at_most}: `facesets describe --check-batches` saves their answers."
    )
    return [
        f"Described {counted(done.described, 'photo')} of {label}, {done.failed} failed"
        + (f", {done.unavailable} unavailable" if done.unavailable else "")
        + (f", {done.again} to be sent again" if done.again else "")
        + f"; cost {_money(done.cost_usd)}."
        + (under_way if done.under_way else "")
        + held_back
        + (" --max-cost was reached." if done.limit_reached else "")
        + (f" {counted(done.to_do, 'photo')} left to do." if done.to_do else "")
        + ("" if done.agreed else " Nothing was sent.")
        + (f" {RESUME_HINT}" if done.stopped else "")
    ]


def announced(plan: Result) -> list[str]:
    """Announce what `describe` is about to send."""
    where = f"{plan.to}, model {plan.model or 'of the server'}"
    where += ", in batches" if plan.in_batches else ""
    photos = counted(plan.photos, "photo")
    if plan.leaves:
        first = f"{photos} will leave this machine and go to {where}. Sent with each photo:"
    else:
        first = f"{photos} will be described on this machine by {where}. Nothing leaves it. The model gets:"
    lines = [
        first,
        *(f"  - {each}" for each in plan.sends),
        f"Not sent: {'; '.join(plan.withheld)}.",
    ]
    if plan.expected_usd is None or plan.most_usd is None:
        lines.append(
            f"The cost is unknown because the price of {plan.model or 'this model'} is not set. Set it in "
            f"facesets.toml (see {page('describe.md')})."
        )
    elif plan.most_usd:
        cost = f"{_money(plan.expected_usd)}, at most {_money(plan.most_usd)}"
        most = plan.max_cost_usd
        limit = "" if most is None else f" {Field('max_cost')} stops the run at ${most:g}."
        lines.append(f"Estimated cost: {cost} (prices {plan.priced}).{limit}")
    return lines


def _money(usd: float) -> str:
    """Format an amount in dollars, with more digits below ten cents."""
    exact = Decimal(str(usd))
    return f"${exact:.2f}" if exact >= Decimal("0.1") or not exact else f"${exact:.4f}"
