"""Distances from a centroid go by the recognizer unless given."""

from dataclasses import fields, replace

import pytest

from facesets.clustering.known_recognizers import known_recognizer
from facesets.operations.options.declaration import CentroidDistance, declared, for_recognizer, settled
from facesets.operations.options.results import (
    DiscoverOptions,
    ExportSwapOptions,
    ExtendOptions,
    ImportFoldersOptions,
    SplitErasOptions,
)

Options = ExtendOptions | DiscoverOptions | ImportFoldersOptions | SplitErasOptions | ExportSwapOptions

OPEN, OTHERS = "dlib_resnet.onnx", ("w600k_r50.onnx", "w600k_mbf.onnx", "")
STRICT = 0.40
USUAL: list[tuple[Options, str, float]] = [
    (ExtendOptions(), "threshold", 0.55),
    (DiscoverOptions(), "known_threshold", 0.45),
    (ImportFoldersOptions(), "route_threshold", 0.45),
    (ExportSwapOptions(), "candidate_match_threshold", 0.55),
    (SplitErasOptions(), "recover_threshold", 0.55),
    (SplitErasOptions(), "recentre_threshold", 0.50),
]
each_option = pytest.mark.parametrize(
    ("options", "field", "usual"), USUAL, ids=[field for _, field, _ in USUAL]
)


@each_option
def test_it_is_strict_with_the_open_pack_and_as_ever_with_others_unless_it_is_given(
    options: Options, field: str, usual: float
) -> None:
    for recognizer, by_itself in ((OPEN, STRICT), *((other, usual) for other in OTHERS)):
        assert settled(getattr(for_recognizer(options, recognizer), field)) == by_itself
        for given in (usual, 0.0, 1.2):
            resolved = for_recognizer(replace(options, **{field: given}), recognizer)  # type: ignore[arg-type]
            assert getattr(resolved, field) == given
            assert for_recognizer(resolved, "") == resolved
            changed = {
                f.name for f in fields(options) if getattr(options, f.name) != getattr(resolved, f.name)
            }
            assert changed == {name for other, name, _ in USUAL if type(other) is type(options)}
    with pytest.raises(ValueError, match="recognition model"):
        settled(getattr(options, field))


@each_option
def test_its_help_names_both(options: Options, field: str, usual: float) -> None:
    known = declared(type(options))  # type: ignore[arg-type]
    option = next(each.option for each in known if each.field == field)
    assert isinstance(option, CentroidDistance)
    assert option.unset == f"{usual:.2f}, or {STRICT:.2f} with the open pack"
    assert known_recognizer(OPEN).max_from_centroid == STRICT
