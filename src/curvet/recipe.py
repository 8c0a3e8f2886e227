"""What a simulated training is made of (Recipe) and what it did (Trace)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

TaskKind = Literal["teacher", "clusters", "regression", "autoencode", "next_token"]
NetKind = Literal["mlp", "conv", "rnn", "gru", "lstm", "attention"]
Activation = Literal["relu", "leaky_relu", "gelu", "tanh", "sigmoid"]
Norm = Literal["none", "layer", "batch"]
Optimiser = Literal["sgd", "nesterov", "rmsprop", "adam", "adamw", "adagrad"]
Schedule = Literal["constant", "cosine", "linear", "step", "restarts", "one_cycle"]
Init = Literal["he", "xavier", "lecun_uniform", "zero", "constant", "dead"]
Order = Literal["shuffled", "replacement", "sorted", "blocks"]
BadBatchKind = Literal["outlier", "wrong_labels", "one_class"]


@dataclass(frozen=True, slots=True)
class Task:
    """A data set made from a seed.

    Parameters
    ----------
    kind : str
        Labels by a random network, clusters, regression, reconstruction or a Markov chain.
    n_inputs, n_outputs : int
        Width of the input; classes, targets or tokens.
    n_pool, n_val : int
        Training samples to draw from; validation samples.
    difficulty : float
        0 (easy) to 1 (hard): gain of the teacher, overlap of clusters, entropy of the chain.
    noise : float
        Share of labels at random, or standard deviation of the targets' noise.
    seed : int
        Draws the data.
    """

    kind: TaskKind
    n_inputs: int
    n_outputs: int
    n_pool: int
    n_val: int
    difficulty: float
    noise: float
    seed: int


@dataclass(frozen=True, slots=True)
class BadBatch:
    """Steps `start` to `start + length - 1` see spoilt data."""

    kind: BadBatchKind
    start: int
    length: int
    strength: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """All that decides one simulated training.

    Recipes with the same `family` can be trained side by side. What has a default is off or plain
    unless a base or a fault asks for it.

    Parameters
    ----------
    task : Task
        The data.
    net : str
        Fully connected, convolutional, recurrent or transformer.
    depth, width : int
        Hidden layers (0 is a linear model; MLPs only) and hidden units in each.
    init_gain : float
        Factor on the initial weights.
    lr : float
        Highest learning rate of the schedule.
    clip : float
        Bound on the gradient norm; inf for none.
    n_train : int
        Training samples used, at most `task.n_pool`.
    label_noise : float
        Share of training targets that belong to another sample.
    val_noise : bool
        Whether validation targets are as noisy as the training targets.
    penalty_in_loss : bool
        Whether the logged loss includes the weight penalty, as Keras logs it.
    seed : int
        Draws initial weights, order of data, dropout and label noise.
    """

    task: Task
    net: NetKind
    depth: int
    width: int
    activation: Activation
    norm: Norm
    residual: bool = False
    init: Init
    init_gain: float = 1.0
    optimiser: Optimiser
    lr: float
    momentum: float
    schedule: Schedule
    warmup: float = 0.0
    clip: float = float("inf")
    weight_decay: float = 0.0
    penalty_in_loss: bool = False
    dropout: float = 0.0
    label_smoothing: float = 0.0
    batch_size: int
    n_steps: int
    n_train: int
    order: Order = "shuffled"
    label_noise: float = 0.0
    val_noise: bool = False
    input_scale: float = 1.0
    bad_batches: tuple[BadBatch, ...] = ()
    seed: int

    @property
    def family(self) -> tuple[object, ...]:
        """What recipes must share to be trained as one batched computation."""
        task = self.task
        return (
            (task.kind, task.n_inputs, task.n_outputs, task.n_val),
            (self.net, self.depth, self.activation, self.norm, self.residual),
            (self.optimiser, self.batch_size, self.n_steps, self.dropout > 0),
        )

    def at_least(self, depth: int) -> int:
        """Deepen to a number of layers, as far as nets of this kind are built."""
        most = {"mlp": 16, "conv": 10, "attention": 4}.get(self.net, 3)
        return max(self.depth, min(depth, most))

    @property
    def steps_per_epoch(self) -> int:
        """Steps that see each training sample once."""
        return max(1, self.n_train // self.batch_size)


@dataclass(frozen=True, slots=True, eq=False)
class Trace:
    """The series of one training, at full resolution or as a logger kept them.

    Parameters
    ----------
    step, loss, grad_norm, lr : arrays of shape (n,)
        Training loss, gradient norm before clipping, and learning rate at each logged step.
    val_step, val : arrays of shape (m,)
        Validation loss.
    steps_per_epoch : int
        Steps that see each training sample once.
    """

    step: NDArray[np.float64]
    loss: NDArray[np.float64]
    grad_norm: NDArray[np.float64]
    lr: NDArray[np.float64]
    val_step: NDArray[np.float64]
    val: NDArray[np.float64]
    steps_per_epoch: int

    @property
    def finite(self) -> bool:
        """Whether every training loss is a finite number."""
        return bool(np.isfinite(self.loss).all())

    @property
    def start(self) -> float:
        """First finite training loss; inf without one."""
        finite = self.loss[np.isfinite(self.loss)]
        return float(finite[0]) if len(finite) else np.inf

    @property
    def end(self) -> float:
        """Mean training loss over the last tenth; inf where it is not finite."""
        tail = self.loss[-max(1, len(self.loss) // 10) :]
        with np.errstate(over="ignore", invalid="ignore"):
            mean = float(tail.mean())
        return mean if np.isfinite(mean) else np.inf

    @property
    def drop(self) -> float:
        """How far the training loss came down from its start."""
        return self.start - self.end

    @property
    def peak(self) -> float:
        """Highest training loss after the start; inf where any is not finite."""
        return float(self.loss.max()) if self.finite else np.inf

    @property
    def val_end(self) -> float:
        """Mean of the last tenth of the validation losses; inf where it is not finite."""
        tail = self.val[-max(1, len(self.val) // 10) :]
        with np.errstate(over="ignore", invalid="ignore"):
            mean = float(tail.mean()) if len(tail) else np.inf
        return mean if np.isfinite(mean) else np.inf

    @property
    def val_rise(self) -> float:
        """How far the validation loss ends above its minimum, as a share of the minimum."""
        if len(self.val) == 0 or not np.isfinite(self.val).all():
            return np.inf
        return (self.val_end - float(self.val.min())) / max(abs(float(self.val.min())), 1e-12)

    def ends_above(self, twin: Trace, share: float) -> bool:
        """Tell whether the loss ends above the twin's by a share of the twin's whole drop."""
        return self.end > twin.end + share * max(twin.drop, 0.0)
