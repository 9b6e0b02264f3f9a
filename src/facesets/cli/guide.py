"""How help presents commands: headings, examples, and the usual next step."""

from dataclasses import dataclass

from facesets.cli import next_step as step

START = "Start here"
FOLDERS = "Sort into folders, from a cache or the library"
SETS = "Make face sets for other programs"
LIBRARY = "Keep a library that grows"
PEOPLE = "Name and find people"
ELSEWHERE = "Exchange with other programs"
UPKEEP = "Look after it"
GROUPS = (START, FOLDERS, SETS, LIBRARY, PEOPLE, ELSEWHERE, UPKEEP)


@dataclass(frozen=True, slots=True)
class Entry:
    """How a command is presented.

    Attributes
    ----------
    group : str
        The heading below which the help lists it.
    examples : tuple of str
        Lines that show its use.
    next_step : function or None
        Return the command that usually comes next, from the arguments and the result. None for a command
        that only reports.
    stands_for : tuple of str
        Commands that it runs, with their options from the settings.
    """

    group: str
    examples: tuple[str, ...]
    next_step: step.Step | None = None
    stands_for: tuple[str, ...] = ()


def _entry(
    group: str, *examples: str, next_step: step.Step | None = None, stands_for: tuple[str, ...] = ()
) -> Entry:
    return Entry(group, examples, next_step, stands_for)


GUIDE = {
    "run": _entry(
        START,
        "facesets run ~/Pictures",
        "facesets run ~/Pictures people --materialize hardlink",
        stands_for=("embed", "cluster", "refine", "extend"),
    ),
    "serve": _entry(
        START,
        "facesets serve --open",
        "facesets serve --host 0.0.0.0 --token-file ~/.facesets-password",
        "facesets serve --results out/raw",
    ),
    "embed": _entry(
        FOLDERS,
        "facesets embed ~/Pictures faces.npz",
        "facesets embed --queue immich/anna/queue.json immich/anna.npz",
        next_step=step.after_embed,
    ),
    "cluster": _entry(
        FOLDERS,
        "facesets cluster faces.npz out/raw",
        "facesets cluster                          # the library's faces become people",
        "facesets cluster --dual                   # faces go to known people, the others into clusters",
        "facesets cluster --method hdbscan         # saves the hierarchy; later runs place new faces in it",
        "facesets cluster faces.npz out --engine local   # larger than memory",
        next_step=step.after_cluster,
    ),
    "refine": _entry(
        FOLDERS,
        "facesets refine faces.npz out/facesets",
        "facesets refine out/facesets --min-faces 5",
        next_step=step.after_refine,
    ),
    "extend": _entry(
        FOLDERS,
        "facesets extend faces.npz out/raw",
        "facesets extend faces.npz out/raw --refine-out out/facesets --dry-run",
        next_step=step.show_output,
    ),
    "show": _entry(
        FOLDERS,
        "facesets show faces.npz",
        "facesets show out/raw",
        "facesets show out/facesets --group faceset_001",
        "facesets show photos/anna.jpg",
    ),
    "sheet": _entry(FOLDERS, "facesets sheet out/raw", "facesets sheet out/facesets people.png"),
    "dedup": _entry(
        FOLDERS,
        "facesets dedup faces.npz",
        "facesets dedup --out duplicates.json",
        next_step=step.after_inspection,
    ),
    "enrich": _entry(FOLDERS, "facesets enrich faces.npz", next_step=step.after_inspection),
    "relocate": _entry(
        FOLDERS,
        "facesets relocate ~/Pictures /mnt/photos faces.npz",
        "facesets relocate /mnt/old --forget             # from the library",
    ),
    "undo": _entry(
        FOLDERS,
        "facesets undo facesets-out",
        "facesets undo facesets-out people/0003-extend --dry-run",
        next_step=step.after_undo,
    ),
    "evaluate": _entry(
        FOLDERS, "facesets evaluate faces.npz", "facesets evaluate faces.npz --sweep 0.4:0.8:0.05"
    ),
    "export-swap": _entry(
        SETS,
        "facesets export-swap faces.npz out/facesets out/swap",
        "facesets export-swap faces.npz out/facesets swap --candidates --raw-manifest out/raw/manifest.json",
        "facesets export-swap faces.npz out/facesets out/swap --formats fsz,safetensors --select diverse",
        next_step=step.after_export,
    ),
    "discover": _entry(
        SETS,
        "facesets discover faces.npz out/swap",
        "facesets discover faces.npz out/swap --under ~/Pictures/2024",
        next_step=step.show_output,
    ),
    "import-folders": _entry(
        SETS,
        "facesets import-folders faces.npz out/swap --each-in ~/Pictures/people",
        "facesets import-folders faces.npz out/swap --folder Anna=~/Pictures/anna --mixed ~/Pictures/2024",
        next_step=step.show_output,
    ),
    "split-eras": _entry(
        SETS,
        "facesets split-eras faces.npz out/swap --set anna --probe",
        "facesets split-eras faces.npz out/swap --set anna",
        next_step=step.after_eras,
    ),
    "verify-bundle": _entry(
        SETS, "facesets verify-bundle out/swap", "facesets verify-bundle faces/Anna.safetensors"
    ),
    "index": _entry(
        LIBRARY,
        "facesets index ~/Pictures",
        "facesets index /mnt/galleries/* --exclude private --exclude '*.png' --max-minutes 60 --alone -q",
        "facesets index ~/Pictures --queue",
        "facesets index --stage scene              # tags, for photos of the library that lack them",
        next_step=step.then("cluster"),
    ),
    "pipeline": _entry(
        LIBRARY,
        "facesets pipeline ~/Pictures",
        "facesets pipeline -q                      # of the targets in facesets.toml, from cron",
        "facesets pipeline ~/Pictures --dual",
        next_step=step.after_pipeline,
        stands_for=("index", "cluster", "assign", "train"),
    ),
    "assign": _entry(LIBRARY, "facesets assign --dry-run", "facesets assign --threshold 0.6"),
    "train": _entry(LIBRARY, "facesets train", "facesets train --list", "facesets train --deactivate"),
    "tags list": _entry(LIBRARY, "facesets tags list", "facesets tags list --toml > tags.toml"),
    "tags set": _entry(LIBRARY, "facesets tags set tags.toml --dry-run", "facesets tags set tags.toml"),
    "describe": _entry(
        LIBRARY,
        "facesets describe --dry-run",
        "facesets describe --llm-uri http://localhost:11434/v1 --max-images 20",
        "facesets describe --max-cost 5 --yes -q",
        "facesets describe --check-batches --wait",
    ),
    "maintain": _entry(
        LIBRARY,
        "facesets maintain weekly -q",
        "facesets maintain associate --dry-run",
        "facesets maintain health --json",
    ),
    "worker": _entry(
        LIBRARY,
        "facesets worker",
        "facesets worker --until-empty -q",
        "facesets worker --only index --workers 8",
        "facesets worker --gpu",
    ),
    "jobs": _entry(
        LIBRARY,
        "facesets jobs",
        "facesets jobs --watch",
        "facesets jobs show 12",
        "facesets jobs cancel 12",
        "facesets jobs retry 12",
    ),
    "people list": _entry(
        PEOPLE,
        "facesets people list",
        "facesets people list --unnamed",
        next_step=step.then("people", "review"),
    ),
    "people show": _entry(
        PEOPLE, "facesets people show Anna", "facesets people show 1a2b3c4d --limit 20 --sheet who.png"
    ),
    "people name": _entry(
        PEOPLE, 'facesets people name 1a2b3c4d "Anna Berg"', "facesets people name --face 812 Anna --into"
    ),
    "people rename": _entry(PEOPLE, 'facesets people rename Anna "Anna Berg"'),
    "people hide": _entry(PEOPLE, "facesets people hide 1a2b3c4d"),
    "people unhide": _entry(PEOPLE, "facesets people unhide 1a2b3c4d"),
    "people set": _entry(
        PEOPLE,
        "facesets people set Anna --birth-year 1950",
        "facesets people set Ben --birth-date 2015-03-28",
    ),
    "people merge": _entry(PEOPLE, "facesets people merge 1a2b3c4d 5e6f7a8b --to Anna"),
    "people move": _entry(
        PEOPLE, "facesets people move 812 813 --to Ben", "facesets people move 812 --to nobody"
    ),
    "people split": _entry(
        PEOPLE,
        "facesets people split Anna --sheet parts.png",
        "facesets people split Anna --parts 2 --apply",
    ),
    "people same": _entry(PEOPLE, "facesets people same --faces 812 977"),
    "people different": _entry(PEOPLE, 'facesets people different Anna "Anna\'s twin"'),
    "people review": _entry(PEOPLE, "facesets people review", "facesets people review --json --limit 5"),
    "people answer": _entry(
        PEOPLE,
        "facesets people answer same-1a2b3c4d5e6f4a5b8c7d9e0f1a2b3c4d-17 yes",
        "facesets people answer near-1a2b3c4d5e6f4a5b8c7d9e0f1a2b3c4d-812.977 yes --but 2",
        "facesets people answer name-1a2b3c4d5e6f4a5b8c7d9e0f1a2b3c4d --name Anna",
    ),
    "people log": _entry(PEOPLE, "facesets people log", "facesets people log Anna"),
    "people undo": _entry(PEOPLE, "facesets people undo", "facesets people undo 12"),
    "people redo": _entry(PEOPLE, "facesets people redo"),
    "people export": _entry(PEOPLE, "facesets people export people.json"),
    "people import": _entry(
        PEOPLE, "facesets people import people.json --dry-run", "facesets people import out/raw"
    ),
    "people forget": _entry(
        PEOPLE,
        "facesets people forget Anna --dry-run",
        "facesets people forget Anna --cache faces.npz --exports --yes",
    ),
    "people prototypes": _entry(
        PEOPLE, "facesets people prototypes Anna", "facesets people prototypes Anna --pin 812 --drop 977"
    ),
    "people bodies": _entry(PEOPLE, "facesets people bodies Anna"),
    "search": _entry(
        PEOPLE,
        'facesets search "a red bicycle in snow"',
        "facesets search --face anna.jpg --min-similarity 0.5",
        "facesets search --person Anna --person Ben --from 2019-01-01",
        'facesets search --words "birthday cake" --person Anna',
    ),
    "explain": _entry(
        PEOPLE,
        "facesets explain 812",
        "facesets explain 812 Ben --json",
        "facesets explain photos/beach.jpg",
    ),
    "import-names": _entry(
        ELSEWHERE,
        "facesets import-names ~/Pictures --dry-run",
        "facesets import-names ~/Pictures/digikam4.db --map /home/old/Pictures=/home/anna/Pictures",
        "facesets import-names ~/photos.json --from osxphotos",
        "facesets import-names --unmatched",
    ),
    "export-xmp": _entry(
        ELSEWHERE,
        "facesets export-xmp --dry-run",
        "facesets export-xmp Anna Ben --under ~/Pictures/2024",
        "facesets export-xmp --undo last",
    ),
    "immich-stage": _entry(
        ELSEWHERE,
        "facesets immich-stage --user anna --url https://immich.home --api-key-file key.txt",
        next_step=step.after_stage,
    ),
    "immich-finish": _entry(ELSEWHERE, "facesets immich-finish anna"),
    "immich-push": _entry(
        ELSEWHERE,
        "facesets immich-push immich/anna",
        "facesets immich-push immich/anna --apply",
        "facesets immich-push immich/anna --undo last --apply",
        next_step=step.after_push,
    ),
    "import-cache": _entry(ELSEWHERE, "facesets import-cache faces.npz", next_step=step.then("cluster")),
    "export-cache": _entry(ELSEWHERE, "facesets export-cache faces.npz", next_step=step.after_inspection),
    "doctor": _entry(
        UPKEEP,
        "facesets doctor",
        "facesets doctor --benchmark",
        "facesets doctor --body-model yolo.onnx",
    ),
    "models list": _entry(UPKEEP, "facesets models list"),
    "models show": _entry(UPKEEP, "facesets models show open"),
    "models path": _entry(UPKEEP, "facesets models path buffalo_l"),
    "models pull": _entry(
        UPKEEP,
        "facesets models pull",
        "facesets models pull open",
        "facesets models pull yolox_s",
        next_step=step.after_pull,
    ),
    "models verify": _entry(UPKEEP, "facesets models verify buffalo_l"),
    "stats": _entry(UPKEEP, "facesets stats", "facesets stats --json"),
    "check": _entry(UPKEEP, "facesets check", "facesets check --fix"),
    "migrate": _entry(
        UPKEEP, "facesets migrate --status", "facesets migrate", next_step=step.then("index", "PHOTOS")
    ),
    "db url": _entry(UPKEEP, "facesets db url"),
    "db psql": _entry(
        UPKEEP, "facesets db psql", 'facesets db psql -c "SELECT count(*) FROM face_detections"'
    ),
    "db stop": _entry(UPKEEP, "facesets db stop"),
    "db backup": _entry(UPKEEP, "facesets db backup library.backup"),
    "db restore": _entry(UPKEEP, "facesets db restore library.backup", next_step=step.then("check")),
    "db index": _entry(UPKEEP, "facesets db index", "facesets db index --drop"),
}
"""Every command, in the order of use."""

OTHER_NAMES = {
    "people label WHO NAME": "people name WHO NAME",
    "people centroids": "maintain centroids",
    "tags run": "index --stage scene",
    "tags run --faces": "index --stage scene; facesets index --stage face-tags",
}
"""Commands that help does not list, and what to type in place of them."""
