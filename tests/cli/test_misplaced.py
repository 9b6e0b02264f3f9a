"""Unknown options and words of a command: where they belong, and what to do."""

from pathlib import Path

import pytest

from tests.fixtures.program import run

LEFT_OUT = "No such option: "


@pytest.mark.parametrize(
    ("line", "advice"),
    [
        (
            "pipeline --target pics",
            "DIR is an argument, not an option: `facesets pipeline [DIR]...`. Without",
        ),
        ("run --target pics", "PHOTOS is an argument, not an option: `facesets run PHOTOS [OUT]`."),
        ("embed --photos pics faces.npz", "SRC is an argument, not an option: `facesets embed [SRC] CACHE`."),
        (
            "cluster faces.npz --out raw",
            "OUT is an argument, not an option: `facesets cluster [CACHE] [OUT]`.",
        ),
        (
            "run pics --min-faces 5",
            "It is an option of `refine`, which `run` reads from the settings: min-faces = … under [refine]",
        ),
        (
            "run pics --min-faces 5",
            "in facesets.toml, or FACESETS_REFINE_MIN_FACES=… in the environment.",
        ),
        ("pipeline pics --ml-uri http://here", "ml-uri = … under [index] in facesets.toml"),
        ("pipeline pics --min-size 3", "FACESETS_CLUSTER_MIN_SIZE=… in the environment"),
        ("index --target pics --top-n 3", "It is an option of `facesets export-swap`"),
        ("stats --refine-out sets", "It is an option of `facesets extend`."),
    ],
)
def test_an_option_of_another_command_is_explained(line: str, advice: str) -> None:
    result = run(*line.split())
    assert result.status == 2
    assert f"{LEFT_OUT}--" in result.err
    assert advice in " ".join(result.err.split())
    assert "Possible options" not in result.err


def test_similar_options_are_suggested_and_unknown_ones_refused() -> None:
    for line, option in (
        ("index --targets pics", "--target"),
        ("people show Anna --face 3", "--limit"),
        ("refine faces.npz out --min-face 3", "--min-faces"),
    ):
        assert run(*line.split()).err.rstrip().endswith(f"(Possible options: {option})")
    nowhere = run("stats", "--frobnicate")
    assert nowhere.err.rstrip().endswith(f"{LEFT_OUT}--frobnicate")


@pytest.mark.parametrize(
    ("line", "of"),
    [
        ("pipeline pics --assign", "`facesets index`"),
        ("run pics --engine local", "`facesets cluster`"),
        ("run pics --refine-out sets", "`facesets extend`"),
        ("pipeline pics --delete", "`facesets index`"),
        ("pipeline pics --sheet", "`facesets cluster`"),
        ("pipeline pics --activate 2", "`facesets train`"),
    ],
)
def test_options_outside_the_settings_are_not_referred_to_them(line: str, of: str) -> None:
    output = " ".join(run(*line.split()).err.split())
    assert "facesets.toml" not in output
    assert f"It is an option of {of}" in output


@pytest.mark.parametrize(
    ("command", "flag"),
    [
        ("run", "refine --min-faces"),
        ("run", "cluster --eps"),
        ("run", "embed --workers"),
        ("run", "extend --cluster-threshold"),
        ("pipeline", "index --max-pixels"),
        ("pipeline", "cluster --min-size"),
        ("pipeline", "assign --margin"),
        ("pipeline", "train --epochs"),
    ],
)
def test_documented_settings_of_a_command_are_those_it_takes(tmp_path: Path, command: str, flag: str) -> None:
    (tmp_path / "photos").mkdir()
    part, name = flag.split()
    variable = f"FACESETS_{part}_{name[2:]}".upper().replace("-", "_")
    assert f"{variable}=…" in " ".join(run(command, tmp_path / "photos", name, "1").err.split())
    # What it does not read it would not refuse.
    refused = run(command, tmp_path / "photos", env={variable: "none"})
    assert (refused.status, name in refused.err) == (2, True)
