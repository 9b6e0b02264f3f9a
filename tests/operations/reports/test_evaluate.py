"""`evaluate` scores clusterings against the truth and names the worst errors."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tests.fixtures.photos import copy_photos
from tests.fixtures.program import Result, run

from facesets.errors import DamagedFile, WrongUsage
from facesets.operations.options.start import ClusterOptions
from facesets.operations.reports.evaluate import Truth, evaluate, sweep, truth_of_vectors

pytestmark = pytest.mark.slow


def people(*names: str, spread: float = 0.01) -> Truth:
    """Make vectors; those with the same first letter are similar."""
    rng = np.random.default_rng(0)
    centre = {letter: np.eye(8)[i % 8] for i, letter in enumerate(sorted({name[0] for name in names}))}
    vectors = np.array([centre[name[0]] for name in names]) + rng.normal(0, spread, (len(names), 8))
    unit = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    rows = np.arange(len(names))
    return Truth(unit, np.array(names), rows, rows, "made up")


def test_a_perfect_clustering_scores_one_and_has_no_errors() -> None:
    result = evaluate(people("ann", "ann", "bob", "bob", "bob"), [ClusterOptions()])
    assert result.trials[0].scores.pairwise_f1 == 1
    assert (result.merges, result.splits) == ([], [])


def test_the_worst_merge_and_split_come_first() -> None:
    # anna and ann look alike and are merged; c's two looks share a name and are split.
    names = ["ann"] * 3 + ["anna"] * 3 + ["bob"] * 2 + ["bill"] + ["c"] * 2
    truth = people(*names)
    vectors = truth.embedding.copy()
    vectors[-1] = np.eye(8, dtype=np.float32)[7]
    result = evaluate(Truth(vectors, truth.name, truth.image, truth.row, truth.source), [ClusterOptions()])
    assert [merge.people for merge in result.merges] == [(("ann", 3), ("anna", 3)), (("bob", 2), ("bill", 1))]
    assert [merge.pairs for merge in result.merges] == [9, 2]
    (split,) = result.splits
    assert (split.person, split.pieces, split.pairs) == ("c", (1, 1), 1)


def test_a_sweep_puts_the_best_threshold_first_and_needs_a_method_with_one() -> None:
    trials = sweep(ClusterOptions(method="agglomerative"), [0.0001, 0.5, 1.9])
    result = evaluate(people("ann", "ann", "bob", "bob", spread=0.05), trials)
    assert result.trials[0].threshold == 0.5
    with pytest.raises(WrongUsage, match="hdbscan"):
        sweep(ClusterOptions(method="hdbscan"), [1])


def test_vectors_of_a_file_are_normalized_unless_they_are_invalid(tmp_path: Path) -> None:
    np.savez(tmp_path / "v.npz", embedding=np.full((3, 4), 7, np.float16), name=["a", "a", "b"])
    truth = truth_of_vectors(tmp_path / "v.npz")
    assert np.allclose(np.linalg.norm(truth.embedding, axis=1), 1)
    path = tmp_path / "w.npz"
    nonsense: list[dict[str, Any]] = [
        {"embedding": np.ones(3), "name": ["a", "b", "c"]},
        {"embedding": np.ones((3, 4)), "name": ["a", "b"]},
        {"embedding": np.zeros((1, 4)), "name": ["a"]},
        {"name": ["a"]},
    ]
    for arrays in nonsense:
        np.savez(path, **arrays)
        with pytest.raises(DamagedFile, match="embedding"):
            truth_of_vectors(path)
    np.save(tmp_path / "x.npy", np.ones(3))
    for other in (tmp_path / "x.npy", tmp_path / "missing.npz"):
        with pytest.raises(DamagedFile, match="embedding"):
            truth_of_vectors(other)


def test_thresholds_are_given_in_each_form_and_an_invalid_sweep_is_refused(tmp_path: Path) -> None:
    truth = people("ann", "ann", "bob", "bob", spread=0.05)
    np.savez(tmp_path / "v.npz", embedding=truth.embedding, name=truth.name)

    def run_evaluate(*words: str) -> Result:
        return run("evaluate", "--vectors", tmp_path / "v.npz", "--json", *words)

    for flag, value, method, used in (
        ("--max-cosine-distance", "0.4", "components", 0.6),
        ("--min-cosine-similarity", "0.6", "agglomerative", 0.4),
        ("--threshold", "0.6", "agglomerative", 0.6),
    ):
        (trial,) = json.loads(run_evaluate("--method", method, flag, value).out)["trials"]
        assert (trial["method"], trial["threshold"]) == (method, used)
    for values in ("1:2", "0.8:0.4:0.1", "0.4.1:0.8:0.1", "0.4:0.8:0", "a:b:c"):
        refused = run_evaluate("--sweep", values)
        assert (refused.status, "FROM:TO:STEP" in refused.err) == (2, True)
    refused = run_evaluate("--method", "auto", "--threshold", "0.4")
    assert (refused.status, "has no threshold" in refused.err) == (2, True)


def test_photos_in_folders_are_evaluated_by_the_real_command(
    pack_dir: Path, lfw_dir: Path, tmp_path: Path
) -> None:
    folders = sorted(lfw_dir.iterdir(), key=lambda folder: -len(list(folder.iterdir())))[:3]
    for folder in folders:
        copy_photos(sorted(folder.iterdir())[:6], tmp_path / "photos" / folder.name)
    cache = tmp_path / "c.npz"
    run("embed", tmp_path / "photos", cache, "--pack", pack_dir)
    result = run("evaluate", cache, "--json", "--sweep", "0.1:0.6:0.25", "--sheet", tmp_path / "errors.png")
    assert result.status == 0, result.err
    report = json.loads(result.out)
    assert (report["faces"], report["people"], report["truth"]) == (18, 3, "parent-folder")
    assert "True people: the folder above each photo" in run("evaluate", cache).out
    assert report["trials"][0]["scores"]["pairwise_f1"] > 0.99
    assert [trial["threshold"] for trial in report["trials"]][-1] == 0.1
    with Image.open(tmp_path / "errors.png") as picture:
        assert picture.width > 500
    table = tmp_path / "truth.csv"
    table.write_text(
        "path,name\n" + "\n".join(f"{p},{p.parent.name}" for p in (tmp_path / "photos").rglob("*.jpg"))
    )
    by_table = run("evaluate", cache, "--json", "--truth", table)
    assert json.loads(by_table.out)["trials"][0]["scores"]["pairwise_f1"] > 0.99
    assert json.loads(by_table.out)["unknown"] == 0
    table.write_text(table.read_text() + "\n/gone/1.jpg,ann\n/gone/2.jpg,bob\n/gone/2.jpg,bob\n")
    assert ", 2 named without a face" in run("evaluate", cache, "--truth", table).out
    table.write_text("path,name\n/gone/1.jpg,ann\n")
    refused = run("evaluate", cache, "--truth", table)
    assert (refused.status, "1 names have no face here" in refused.err) == (2, True)


def test_missing_files_are_reported(tmp_path: Path) -> None:
    result = run("evaluate")
    assert (result.status, "facesets index" in result.err) == (2, True)
    result = run("evaluate", tmp_path / "none.npz")
    assert (result.status, "facesets embed" in result.err) == (2, True)
