"""What commands that look at photos and note what they show did, in words."""

from decimal import Decimal

from facesets.errors import Field
from facesets.installation import page
from facesets.plurals import counted
from facesets.result import Result
from facesets.words.phrases import GO_ON, as_before, would


def embed(done: Result, *, label: str, dry_run: bool) -> list[str]:
    """Words of `embed`."""
    ignored = counted(done.ignored, "file or folder", "files and folders")
    return [
        f"{label}: {counted(done.embedded, 'new image')} with {counted(done.faces, 'face')}, "
        f"{counted(done.aliases, 'copy', 'copies')} of known images, {done.unchanged} unchanged, "
        f"{done.failed} unreadable{as_before(done.failures)}."
        + (f" {ignored} ignored." if done.ignored else "")
        + (f" {counted(done.gone, 'file')} gone." if done.gone else "")
        + (f" {counted(done.moved, 'file')} moved here from elsewhere." if done.moved else "")
        + (f" {counted(done.pruned, 'path')} elsewhere forgotten." if done.pruned else "")
        + (f" {done.to_do} to do." if dry_run else "")
        + (f" {GO_ON}" if done.stopped else "")
    ]


def enrich(done: Result, *, label: str) -> list[str]:
    """Words of `enrich`."""
    return [
        f"{label}: {counted(done.faces, 'face')} in {counted(done.images, 'image')} "
        f"{would(done.dry_run, 'looked at', 'to look at')}, {done.already} done before: "
        f"{done.enriched} enriched ({done.pose_from_keypoints} with the pose from keypoints), "
        f"{done.not_found_again} not found again"
        + (f", {done.aged} given age and sex" if done.aged else "")
        + (f", {done.norms} measured by how much they show." if done.norms else ".")
    ]


def relocate(done: Result, *, label: str) -> list[str]:
    """Words of `relocate`."""
    end = " Nothing was changed." if done.dry_run else ""
    if not done.new:
        return [f"{label}: {counted(done.forgotten, 'path')} below OLD forgotten.{end}"]
    agree = f"{done.alike} of {done.compared} compared agree by size and time"
    moved = f"{counted(done.relocated, 'path')} relocated, {done.merged} known there already"
    return [f"{label}: {moved}; {agree}.{end}"]


def index_stage(done: Result, *, label: str) -> list[str]:
    """Words of `index --stage`."""
    if done.dry_run:
        to_do = counted(done.to_do, "photo")
        return [f"{label}: stage {done.stage}: {to_do} to look at. Nothing was stored."]
    return [
        f"{label}: stage {done.stage}: {counted(done.completed, 'photo')} done, {done.failed} failed"
        + (f", {done.unavailable} unavailable" if done.unavailable else "")
        + "."
        + (f" {done.to_do} to do." if done.to_do else "")
        + (f" {GO_ON}" if done.stopped else "")
    ]


def delete_stage(done: Result, *, label: str) -> list[str]:
    """Words of `index --stage NAME --delete`."""
    end = would(done.dry_run, " deleted.", " would be deleted. Nothing was changed.")
    return [f"{label}: stage {done.stage}: {counted(done.deleted, 'finding')}{end}"]


def tags_run(done: Result, *, label: str) -> list[str]:
    """Words of `tags run`."""
    return [line for each in done.stages for line in index_stage(each, label=label)]


def tags_set(done: Result) -> list[str]:
    """Words of `tags set`."""
    parts = [
        f"{', '.join(done[verb])} {verb}"
        for verb in ("added", "changed", "removed", "unchanged")
        if done[verb]
    ]
    return [f"Categories: {'; '.join(parts)}." + (" Nothing was stored." if done.dry_run else "")]


def describe(done: Result, *, label: str) -> list[str]:
    """Words of `describe`."""
    held_back = f" {done.held_back} wait for more to make a batch; --no-batch describes them now."
    held_back = held_back if done.held_back else ""
    if done.dry_run:
        waiting = f"{label}: {counted(done.to_do, 'photo')} without a description."
        return [f"{waiting}{held_back} Nothing was sent."]
    if not (done.to_do or done.under_way or done.sent or done.described or done.failed):
        return [f"{label}: nothing to describe."]
    at_most = f" for {_money(done.under_way_usd)} at most" if done.under_way_usd else ""
    under_way = (
        f" {done.under_way} in batches{at_most}: `facesets describe --check-batches` keeps their answers."
    )
    return [
        f"{label}: {counted(done.described, 'photo')} described, {done.failed} failed"
        + (f", {done.unavailable} unavailable" if done.unavailable else "")
        + (f", {done.again} to be sent again" if done.again else "")
        + f"; paid {_money(done.cost_usd)}."
        + (under_way if done.under_way else "")
        + held_back
        + (" --max-cost was reached." if done.limit_reached else "")
        + (f" {done.to_do} to do." if done.to_do else "")
        + ("" if done.agreed else " Nothing was sent.")
        + (f" {GO_ON}" if done.stopped else "")
    ]


def announced(said: Result) -> list[str]:
    """Words of what `describe` is about to send."""
    where = f"{said.to}, model {said.model or 'of the server'}"
    where += ", in batches" if said.in_batches else ""
    photos = counted(said.photos, "photo")
    if said.leaves:
        first = f"{photos} will leave this machine and go to {where}. Of each photo is sent:"
    else:
        first = f"{photos} will be described on this machine, by {where}. Nothing leaves it. The model gets:"
    lines = [first, *(f"  - {each}" for each in said.sends), f"Not sent: {'; '.join(said.withheld)}."]
    if said.expected_usd is None or said.most_usd is None:
        lines.append(
            f"The price of {said.model or 'this model'} is not known, and so the cost is not. facesets.toml "
            f"can say it (see {page('describe.md')})."
        )
    elif said.most_usd:
        cost = f"{_money(said.expected_usd)}, at most {_money(said.most_usd)}"
        most = said.max_cost_usd
        limit = "" if most is None else f" {Field('max_cost')} ends the run at ${most:g}."
        lines.append(f"Estimated cost: {cost} (prices {said.priced}).{limit}")
    return lines


def _money(usd: float) -> str:
    """An amount as people read it: cents, or more digits below ten cents."""
    exact = Decimal(str(usd))
    return f"${exact:.2f}" if exact >= Decimal("0.1") or not exact else f"${exact:.4f}"
