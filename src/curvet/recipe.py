"""What a simulated training is made of (Recipe) and what it did (Trace)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from .robust import noise_level, running_median

TaskKind = Literal["teacher", "clusters", "parity", "regression", "autoencode", "next_token"]
NetKind = Literal["mlp", "conv", "rnn", "gru", "lstm", "attention"]
Activation = Literal["relu", "leaky_relu", "gelu", "tanh", "sigmoid"]
Norm = Literal["none", "layer", "batch"]
Optimiser = Literal["sgd", "nesterov", "rmsprop", "adam", "adamw", "adagrad"]
Schedule = Literal["constant", "cosine", "linear", "step", "restarts", "one_cycle", "plateau"]
Init = Literal["he", "xavier", "lecun_uniform", "orthogonal", "zero", "constant", "dead"]
Order = Literal["shuffled", "replacement", "sorted", "blocks"]
BadBatchKind = Literal["outlier", "wrong_labels", "one_class"]
LossKind = Literal["plain", "negated", "softmax_twice", "unbounded", "broadcast"]


@dataclass(frozen=True, slots=True)
class Task:
    """A data set made from a seed.

    Parameters
    ----------
    kind : str
        Labels by a random network, clusters, the parity of some signs (which is learnt late and
        suddenly), regression, reconstruction or a Markov chain.
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


@dataclass(frozen=True, slots=True)
class Unnormalised:
    """Inputs as they come: ``x * scale * spread + shift`` in place of x.

    Parameters
    ----------
    scale, shift : float
        The same for every input.
    spread : float
        Standard deviation of the decimal logarithm of each input's own factor.
    """

    scale: float
    shift: float
    spread: float


@dataclass(frozen=True, slots=True)
class Validation:
    """How the validation data differ from the training data.

    Parameters
    ----------
    scale, shift, noise : float
        Inputs are ``x * scale + shift`` and normal noise.
    relabelled : float
        Share of the classes that have another number, or of a regression's targets that are
        in another unit.
    leaked : float
        Share of the validation samples that are training samples.
    """

    scale: float = 1.0
    shift: float = 0.0
    noise: float = 0.0
    relabelled: float = 0.0
    leaked: float = 0.0


@dataclass(frozen=True, slots=True)
class Resume:
    """A run that went on, after step `at`, from the checkpoint of `back` steps before.

    Parameters
    ----------
    at, back : int
        Steps.
    optimiser, schedule, data : bool
        What was lost: moments start at 0, the schedule or the data stream from its beginning.
    """

    at: int
    back: int
    optimiser: bool
    schedule: bool
    data: bool


@dataclass(frozen=True, slots=True)
class HalfPrecision:
    """Sixteen-bit numbers: what is too large becomes inf, what is too small becomes 0.

    Parameters
    ----------
    largest : float
        Output above which the loss is NaN. That of float16 is 65504; a tiny net stands for one
        whose sums are larger.
    scale : float
        Factor on the loss before gradients are computed.
    dynamic : bool
        Skip a step whose gradient is not finite and halve the scale, as torch.amp.GradScaler
        does; otherwise such a step spoils the weights.
    """

    largest: float
    scale: float
    dynamic: bool


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
    momentum : float
        Of SGD and Nesterov; the decay of the first moment of Adam and AdamW.
    accumulation : int
        Batches whose gradients are averaged for one update.
    input_noise : float
        Standard deviation of fresh noise on the training inputs: augmentation.
    loss : str
        The right one, or a wrong one: with the wrong sign, of a softmax of a softmax, without a
        lower bound, or of every output against every target of the batch.
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
    accumulation: int = 1
    input_noise: float = 0.0
    unnormalised: Unnormalised | None = None
    bad_batches: tuple[BadBatch, ...] = ()
    loss: LossKind = "plain"
    validation: Validation = Validation()
    resume: Resume | None = None
    half: HalfPrecision | None = None
    seed: int

    @property
    def family(self) -> tuple[object, ...]:
        """What recipes must share to be trained as one batched computation."""
        task = self.task
        return (
            (task.kind, task.n_inputs, task.n_outputs, task.n_val),
            (self.net, self.depth, self.activation, self.norm, self.residual),
            (self.optimiser, self.batch_size, self.n_steps, self.dropout > 0, self.accumulation),
        )

    @property
    def onset(self) -> int:
        """Step at which a fault sets in that does not act from the start; -1 without one."""
        if self.bad_batches:
            return min(bad.start for bad in self.bad_batches)
        return self.resume.at if self.resume else -1

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
    """The series of one training, at every step.

    Parameters
    ----------
    step : array of shape (n,)
        Step as the training counts it; goes back where it resumed from a checkpoint.
    loss, grad_norm, lr : arrays of shape (n,)
        Training loss, gradient norm before clipping, and learning rate.
    val_at : array of shape (m,), int
        Positions in `step` after which validation was measured.
    val : array of shape (m,)
        Validation loss.
    steps_per_epoch : int
        Steps that see each training sample once.
    onset : int
        Position at which the fault set in; -1 if from the start or never.
    """

    step: NDArray[np.float64]
    loss: NDArray[np.float64]
    grad_norm: NDArray[np.float64]
    lr: NDArray[np.float64]
    val_at: NDArray[np.int64]
    val: NDArray[np.float64]
    steps_per_epoch: int
    onset: int = -1

    def until(self, n: int) -> Trace:
        """Return the first n steps: a run that is still going, or was stopped."""
        seen = self.val_at < n
        return Trace(
            self.step[:n],
            self.loss[:n],
            self.grad_norm[:n],
            self.lr[:n],
            self.val_at[seen],
            self.val[seen],
            self.steps_per_epoch,
            self.onset if self.onset < n else -1,
        )

    @property
    def finite(self) -> bool:
        """Whether every training loss is a finite number."""
        return bool(np.isfinite(self.loss).all())

    @property
    def start(self) -> float:
        """Level of the training loss at the start; inf without a finite value.

        The median of the first five, since one batch may be an easy or a hard one; or the first,
        where the loss climbs at once.
        """
        finite = self.loss[np.isfinite(self.loss)]
        return min(float(finite[0]), float(np.median(finite[:5]))) if len(finite) else np.inf

    @property
    def end(self) -> float:
        """Mean training loss over the last tenth; inf where it is not finite."""
        return mean_or_inf(self.loss[-max(1, len(self.loss) // 10) :])

    @property
    def middle(self) -> float:
        """Level of the training loss half-way: the median of a tenth of the run."""
        half = len(self.loss) // 2
        return float(np.median(self.loss[half : half + max(1, len(self.loss) // 10)]))

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
        return mean_or_inf(self.val[-max(1, len(self.val) // 10) :])

    @property
    def val_rise(self) -> float:
        """How far the validation loss ends above its minimum.

        As a share of the minimum, or of three tenths of the fall to it where that is more: twice
        almost nothing is almost nothing.
        """
        if len(self.val) == 0 or not np.isfinite(self.val).all():
            return np.inf
        least = float(self.val.min())
        return (self.val_end - least) / max(abs(least), 0.3 * (float(self.val[0]) - least), 1e-12)

    @property
    def val_turns(self) -> bool:
        """Whether the validation loss rises from an early minimum by a tenth of it or more."""
        if len(self.val) < 3 or not np.isfinite(self.val).all():
            return False
        least = float(self.val.min())
        # Against the least, be it ever so small: where it is, it is seen on a logarithmic scale.
        rises = self.val_end > least + 0.1 * abs(least)
        return rises and int(self.val.argmin()) < 0.8 * len(self.val)

    @property
    def noise(self) -> float:
        """Typical distance of the training loss from its running median, second half."""
        loss = self.loss[len(self.loss) // 2 :]
        if len(loss) < 4 or not np.isfinite(loss).all():
            return 0.0
        return float(noise_level(loss - running_median(loss, len(loss) // 10 + 5)))

    def ends_above(self, twin: Trace, share: float) -> bool:
        """Tell whether the loss ends above the twin's by a share of the twin's whole drop."""
        return self.end > twin.end + share * max(twin.drop, 0.0)


def mean_or_inf(values: NDArray[np.float64]) -> float:
    """Mean of some values, inf where there are none or it is not finite."""
    with np.errstate(over="ignore", invalid="ignore"):
        mean = float(values.mean()) if len(values) else np.inf
    return mean if np.isfinite(mean) else np.inf
