"""The options of `train`."""

from dataclasses import dataclass
from typing import Annotated

from facesets.operations.options.declaration import Checked, Option
from facesets.operations.options.shared import DryRun


@dataclass(frozen=True, slots=True)
class TrainOptions(Checked):
    """How a projection head is trained, and on whom."""

    epochs: Annotated[
        int,
        Option(
            "Passes over all faces.",
            least=10,
            most=100,
            variable="FACESETS_TRAIN_EPOCHS FACE_TRAINING_EPOCHS",
        ),
    ] = 20
    margin: Annotated[
        float,
        Option(
            "By how much farther somebody else's face has to be than one of the same person.",
            least=0.1,
            most=0.5,
            variable="FACESETS_TRAIN_MARGIN FACE_TRIPLET_MARGIN",
        ),
    ] = 0.2
    batch_size: Annotated[int, Option("Faces that are compared with each other.", least=16, most=128)] = 32
    learning_rate: Annotated[float, Option("Size of a step.", least=1e-6, most=0.1)] = 1e-4
    min_faces: Annotated[int, Option("Fewest faces of a person to learn from.", least=4)] = 5
    min_quality: Annotated[float, Option("Least quality of a face to learn from.", least=0, most=1)] = 0.5
    dry_run: DryRun = False
