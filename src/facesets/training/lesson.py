"""What a training takes and gives, without PyTorch, which takes seconds to load."""

from dataclasses import dataclass

from facesets.records import Bool, Float32, Int64
from facesets.training.checkpoints import Epoch
from facesets.training.head import Layers


@dataclass(frozen=True, slots=True)
class TrainingPlan:
    """How to train."""

    epochs: int
    margin: float
    batch_size: int
    learning_rate: float
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Lesson:
    """What to learn from: unit rows of shape (n, d), whose they are, and which are only for validation."""

    embedding: Float32
    person: Int64
    validates: Bool


@dataclass(frozen=True, slots=True)
class TrainedHead:
    """A head, and how each epoch went; fewer epochs than planned if it was stopped."""

    layers: Layers
    epochs: tuple[Epoch, ...]
