"""What lies in a folder, looked for name by name or all at once."""

from pathlib import Path

from facesets.results.safe_folder import SafeFolder


def test_names_looked_for_together_exist_as_each_by_itself(tmp_path: Path) -> None:
    root, outside = tmp_path / "result", tmp_path / "outside"
    for made in (root / "anna" / "inner", root / "ben", outside):
        made.mkdir(parents=True)
    for place in ("anna/a.jpg", "anna/inner/b.jpg", "ben/a:b.jpg", "ben/é.jpg"):
        (root / place).write_text("photo")
    (outside / "c.jpg").write_text("photo")
    (root / "linked").symlink_to(outside)
    (root / "ben" / "gone.jpg").symlink_to(tmp_path / "nowhere")
    names = [
        *("anna/a.jpg", "anna/inner/b.jpg", "anna//a.jpg", "./anna/a.jpg", "anna/inner", "anna", "linked"),
        *("anna/none.jpg", "none/a.jpg", "ben/a:b.jpg", "ben/é.jpg", "ben/gone.jpg", "linked/c.jpg"),
        *("../outside/c.jpg", "anna/../ben/gone.jpg", "anna/..", "anna/.", str(root / "anna/a.jpg"), "."),
    ]
    folder = SafeFolder(root)
    plainly = {name for name in names if folder.exists(name)}
    assert folder.existing(names) == plainly
    assert {"anna/a.jpg", "ben/gone.jpg", "linked"} <= plainly
    assert not {"linked/c.jpg", "ben/a:b.jpg", "../outside/c.jpg"} & plainly
