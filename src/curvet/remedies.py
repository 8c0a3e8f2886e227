"""What to try against a cause of bad training, and who says so.

The words are ``remedies.<key>`` in the catalogues of `texts`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from .texts import say


@dataclass(frozen=True, slots=True)
class Source:
    """Where a remedy comes from.

    Parameters
    ----------
    title : str
        Short: "Goyal et al. 2017", "Keras: EarlyStopping", "karpathy/nanoGPT#136".
    url : str
        Where it can be read; "" for what a team knows by itself.
    """

    title: str
    url: str


@dataclass(frozen=True, slots=True)
class Remedy:
    """One thing to try.

    Parameters
    ----------
    key : str
        Stable; never renamed.
    sources : tuple of Source
        Papers, documentation, and threads in which it was the cure; at least one.
    own : str
        What to do in the words of the team whose remedy it is; "" where the catalogues have them.
    """

    key: str
    sources: tuple[Source, ...]
    own: str = ""

    @property
    def text(self) -> str:
        """What to do, in a sentence."""
        return self.own or say(f"remedies.{self.key}")

    def to_dict(self) -> dict[str, Any]:
        """Return the remedy as plain types, ready for JSON."""
        sources = [{"title": source.title, "url": source.url} for source in self.sources]
        return {"key": self.key, "text": self.text, "sources": sources}


def _arxiv(title: str, number: str) -> Source:
    return Source(title, f"https://arxiv.org/abs/{number}")


def _doi(title: str, number: str) -> Source:
    return Source(title, f"https://doi.org/{number}")


def _pytorch(title: str, page: str) -> Source:
    return Source(f"PyTorch: {title}", f"https://docs.pytorch.org/docs/stable/{page}.html")


def _sklearn(title: str, page: str) -> Source:
    return Source(f"scikit-learn: {title}", f"https://scikit-learn.org/stable/{page}.html")


def _keras(title: str, page: str) -> Source:
    return Source(f"Keras: {title}", f"https://keras.io/{page}")


def _issue(repository: str, number: int) -> Source:
    return Source(f"{repository}#{number}", f"https://github.com/{repository}/issues/{number}")


def _pull(repository: str, number: int) -> Source:
    return Source(f"{repository}#{number}", f"https://github.com/{repository}/pull/{number}")


# What several remedies rest on.
_ADAMW = _arxiv("Loshchilov & Hutter 2019", "1711.05101")
_BARZ = _arxiv("Barz & Denzler 2020", "1902.00423")
_BIGSCIENCE = Source(
    "BigScience: 104B chronicles",
    "https://github.com/bigscience-workshop/bigscience/blob/master/train/tr8-104B-wide/chronicles.md",
)
_CROSS_ENTROPY = _pytorch("CrossEntropyLoss", "generated/torch.nn.CrossEntropyLoss")
_EARLY_STOPPING = _keras("EarlyStopping", "api/callbacks/early_stopping/")
_FIT = Source(
    "TensorFlow: overfit and underfit",
    "https://www.tensorflow.org/tutorials/keras/overfit_and_underfit",
)
_FORUM = Source(
    "PyTorch forum, topic 43814",
    "https://discuss.pytorch.org/t/cross-entropy-loss-is-not-decreasing/43814/16",
)
_GOYAL = _arxiv("Goyal et al. 2017", "1706.02677")
_HE_2015 = _arxiv("He et al. 2015", "1502.01852")
_HOFFER = _arxiv("Hoffer et al. 2017", "1705.08741")
_HUTTER_2017 = _arxiv("Loshchilov & Hutter 2017", "1608.03983")
_IOFFE = _arxiv("Ioffe & Szegedy 2015", "1502.03167")
_KARPATHY = Source("Karpathy 2019", "https://karpathy.github.io/2019/04/25/recipe/")
_LECUN = _doi("LeCun et al. 1998", "10.1007/3-540-49430-8_2")
_LEE = _arxiv("Lee et al. 2022", "2107.06499")
_LOADER = _pytorch("torch.utils.data", "data")
_MARIN = Source(
    "Marin: 32B retrospective",
    "https://github.com/marin-community/marin/blob/main/docs/reports/marin-32b-retro.md",
)
_MASTERS = _arxiv("Masters & Luschi 2018", "1804.07612")
_MCCANDLISH = _arxiv("McCandlish et al. 2018", "1812.06162")
_MICIKEVICIUS = _arxiv("Micikevicius et al. 2018", "1710.03740")
_OPT = Source(
    "metaseq: OPT chronicles",
    "https://github.com/facebookresearch/metaseq/blob/main/projects/OPT/chronicles/27_percent_update.md",
)
_PASCANU = _arxiv("Pascanu et al. 2013", "1211.5063")
_PITFALLS = _sklearn("common pitfalls", "common_pitfalls")
_PLAYBOOK = Source("Godbole et al. 2023", "https://github.com/google-research/tuning_playbook")
_PRECHELT = _doi("Prechelt 1998", "10.1007/3-540-49430-8_3")
_SMITH = _arxiv("Smith 2017", "1506.01186")
_SRIVASTAVA = Source("Srivastava et al. 2014", "https://jmlr.org/papers/v15/srivastava14a.html")


def _by_key(*remedies: Remedy) -> Mapping[str, Remedy]:
    known = {remedy.key: remedy for remedy in remedies}
    if len(known) < len(remedies):
        raise ValueError("two remedies share a key")
    return MappingProxyType(known)


REMEDIES = _by_key(
    Remedy("carry_on", (_PLAYBOOK,)),
    # Learning rate
    Remedy(
        "lower_lr",
        (
            _SMITH,
            _issue("karpathy/nanoGPT", 136),
            _issue("mozilla/DeepSpeech", 258),
            _issue("guillaumegenthial/sequence_tagging", 47),
        ),
    ),
    Remedy("raise_lr", (_SMITH, _PLAYBOOK)),
    Remedy("find_lr", (_SMITH,)),
    Remedy("warm_up", (_GOYAL, _PLAYBOOK)),
    Remedy(
        "decay_lr",
        (
            _HUTTER_2017,
            _pytorch("ReduceLROnPlateau", "generated/torch.optim.lr_scheduler.ReduceLROnPlateau"),
            _OPT,
        ),
    ),
    Remedy(
        "check_schedule",
        (
            _issue("matteo-dunnhofer/imagenet", 10),
            _issue("LINCellularNeuroscience/VAME", 26),
        ),
    ),
    Remedy(
        "scale_lr_with_batch",
        (
            _GOYAL,
            _issue("PaddlePaddle/PaddleDetection", 1946),
            _issue("PaddlePaddle/PaddleDetection", 2942),
        ),
    ),
    # Optimiser
    Remedy("use_adaptive", (_arxiv("Kingma & Ba 2015", "1412.6980"), _ADAMW)),
    Remedy("try_adamw", (_ADAMW, _arxiv("Schmidt et al. 2021", "2007.01547"))),
    Remedy(
        "set_momentum",
        (
            Source("Sutskever et al. 2013", "https://proceedings.mlr.press/v28/sutskever13.html"),
            _pytorch("SGD", "generated/torch.optim.SGD"),
        ),
    ),
    Remedy(
        "replace_adagrad",
        (_arxiv("Ruder 2016", "1609.04747"), _arxiv("Zeiler 2012", "1212.5701")),
    ),
    Remedy("raise_epsilon", (_issue("AdeDZY/K-NRM", 10), _issue("karpathy/nanoGPT", 137))),
    Remedy("tune_sgd", (_LECUN, _PLAYBOOK)),
    Remedy("check_parameters", (_issue("bubbliiiing/efficientdet-pytorch", 37),)),
    # Gradients, initial weights and layers
    Remedy(
        "clip_gradients",
        (
            _PASCANU,
            _pytorch("clip_grad_norm_", "generated/torch.nn.utils.clip_grad_norm_"),
            _issue("DirtyHarryLYL/HAKE-Action-Torch", 34),
        ),
    ),
    Remedy(
        "fit_init",
        (
            Source("Glorot & Bengio 2010", "https://proceedings.mlr.press/v9/glorot10a.html"),
            _HE_2015,
            _BIGSCIENCE,
        ),
    ),
    Remedy("add_normalisation", (_IOFFE, _arxiv("Ba et al. 2016", "1607.06450"))),
    Remedy("add_residuals", (_arxiv("He et al. 2016", "1512.03385"),)),
    Remedy("bound_logits", (_arxiv("Dehghani et al. 2023", "2302.05442"), _MARIN)),
    Remedy(
        "use_relu",
        (
            Source("Glorot et al. 2011", "https://proceedings.mlr.press/v15/glorot11a.html"),
            _arxiv("Hendrycks & Gimpel 2016", "1606.08415"),
        ),
    ),
    Remedy("revive_relus", (_HE_2015, _FORUM)),
    Remedy(
        "use_gates",
        (
            _doi("Hochreiter & Schmidhuber 1997", "10.1162/neco.1997.9.8.1735"),
            _arxiv("Cho et al. 2014", "1406.1078"),
            _PASCANU,
        ),
    ),
    Remedy("group_norm", (_arxiv("Wu & He 2018", "1803.08494"),)),
    # Size of the net, duration and regularisation
    Remedy("larger_net", (_FIT, _issue("mozilla/DeepSpeech", 311))),
    Remedy("smaller_net", (_FIT,)),
    Remedy(
        "better_features",
        (
            _sklearn(
                "underfitting and overfitting",
                "auto_examples/model_selection/plot_underfitting_overfitting",
            ),
        ),
    ),
    Remedy("overfit_batch", (_KARPATHY,)),
    Remedy("train_longer", (_HOFFER, _pull("wandb/senpai", 484))),
    Remedy("stop_early", (_PRECHELT, _arxiv("Arpit et al. 2017", "1706.05394"), _EARLY_STOPPING)),
    Remedy("stop_later", (_PRECHELT, _EARLY_STOPPING)),
    Remedy("add_weight_decay", (_ADAMW, _FIT)),
    Remedy("lower_weight_decay", (_ADAMW, _PLAYBOOK)),
    Remedy("exempt_from_decay", (_arxiv("He et al. 2019", "1812.01187"),)),
    Remedy("add_dropout", (_SRIVASTAVA, _FIT)),
    Remedy("lower_dropout", (_SRIVASTAVA, _PLAYBOOK)),
    Remedy("lower_smoothing", (_arxiv("Müller et al. 2019", "1906.02629"), _PLAYBOOK)),
    # Data
    Remedy("more_data", (_FIT,)),
    Remedy(
        "augment",
        (
            _doi("Shorten & Khoshgoftaar 2019", "10.1186/s40537-019-0197-0"),
            _issue("apache/mxnet", 2282),
            _issue("IcarusWizard/MAE", 6),
        ),
    ),
    Remedy("drop_copies", (_LEE, _issue("huggingface/transformers", 18730))),
    Remedy(
        "look_at_batch",
        (
            _issue("prs-eth/Marigold", 111),
            _issue("broadinstitute/keras-rcnn", 133),
        ),
    ),
    Remedy("clean_data", (_issue("YuwenXiong/py-R-FCN", 58), _issue("ds4dm/ecole", 324))),
    Remedy("skip_batch", (_arxiv("Chowdhery et al. 2022", "2204.02311"),)),
    Remedy("review_labels", (_arxiv("Northcutt et al. 2021", "1911.00068"),)),
    Remedy(
        "measure_agreement",
        (_sklearn("cohen_kappa_score", "modules/generated/sklearn.metrics.cohen_kappa_score"),),
    ),
    Remedy("shuffle", (_LOADER, _pull("jingyaogong/minimind", 503), _pull("k2-fsa/icefall", 574))),
    Remedy(
        "larger_buffer",
        (
            Source(
                "TensorFlow: Dataset.shuffle",
                "https://www.tensorflow.org/api_docs/python/tf/data/Dataset#shuffle",
            ),
            _issue("deepinsight/insightface", 377),
            _MARIN,
        ),
    ),
    Remedy(
        "interleave",
        (
            Source(
                "Hugging Face: interleave_datasets",
                "https://huggingface.co/docs/datasets/process#interleave",
            ),
            _issue("hiyouga/LlamaFactory", 5247),
        ),
    ),
    Remedy("mix_classes", (_LOADER,)),
    Remedy(
        "standardise_inputs",
        (
            _LECUN,
            _sklearn("StandardScaler", "modules/generated/sklearn.preprocessing.StandardScaler"),
        ),
    ),
    Remedy("rescale_inputs", (_sklearn("preprocessing", "modules/preprocessing"),)),
    Remedy(
        "normalise_targets",
        (
            _sklearn(
                "TransformedTargetRegressor",
                "modules/generated/sklearn.compose.TransformedTargetRegressor",
            ),
        ),
    ),
    Remedy(
        "normalise_first",
        (
            _keras("Normalization", "api/layers/preprocessing_layers/numerical/normalization/"),
            _IOFFE,
        ),
    ),
    # Batch size
    Remedy("larger_batch", (_MCCANDLISH, _PLAYBOOK)),
    Remedy("average_noise", (_arxiv("Izmailov et al. 2018", "1803.05407"), _PLAYBOOK)),
    Remedy("smaller_batch", (_arxiv("Keskar et al. 2017", "1609.04836"), _MASTERS)),
    Remedy(
        "large_batch_optimiser",
        (_arxiv("You et al. 2017", "1708.03888"), _arxiv("You et al. 2020", "1904.00962")),
    ),
    # Loss function
    Remedy("pass_logits", (_CROSS_ENTROPY, _FORUM)),
    Remedy("check_first_loss", (_KARPATHY,)),
    Remedy("compare_shapes", (_pytorch("broadcasting", "notes/broadcasting"),)),
    Remedy(
        "check_reduction",
        (
            _issue("axolotl-ai-cloud/axolotl", 2262),
            _pull("huggingface/transformers", 35207),
        ),
    ),
    Remedy(
        "check_label_masks",
        (
            _issue("huggingface/trl", 6668),
            _issue("meta-llama/llama-cookbook", 133),
            _issue("hpcaitech/ColossalAI", 5370),
        ),
    ),
    Remedy("guard_logarithm", (_issue("miemie2013/Paddle-DIOU-YOLOv3", 1),)),
    Remedy(
        "robust_loss",
        (
            _doi("Huber 1964", "10.1214/aoms/1177703732"),
            _arxiv("Zhang & Sabuncu 2018", "1805.07836"),
        ),
    ),
    # Training and validation data
    Remedy(
        "evaluate_on_training",
        (
            _keras(
                "FAQ",
                "getting_started/faq/#why-is-my-training-loss-much-higher-than-my-testing-loss",
            ),
        ),
    ),
    Remedy("same_preprocessing", (_PITFALLS,)),
    Remedy("split_anew", (_sklearn("cross-validation", "modules/cross_validation"),)),
    Remedy(
        "check_eval_mode",
        (_pytorch("Module.eval", "generated/torch.nn.Module"), _issue("chemprop/chemprop", 607)),
    ),
    Remedy("find_shared_samples", (_BARZ, _LEE, _issue("openai/parameter-golf", 2127))),
    Remedy(
        "split_by_group",
        (
            _sklearn("GroupKFold", "modules/generated/sklearn.model_selection.GroupKFold"),
            _issue("theislab/multimil", 75),
            _issue("microsoft/seismic-deeplearning", 233),
        ),
    ),
    Remedy("fit_on_training_alone", (_PITFALLS, _arxiv("Kapoor & Narayanan 2023", "2207.07048"))),
    Remedy(
        "check_causal_mask",
        (
            _issue("huggingface/transformers", 48745),
            _issue("huggingface/transformers", 31673),
            _issue("karpathy/minGPT", 75),
        ),
    ),
    Remedy("evaluate_on_later_data", (_arxiv("Recht et al. 2019", "1902.10811"),)),
    # Resuming
    Remedy(
        "save_all_state",
        (
            Source(
                "PyTorch: saving a general checkpoint",
                "https://docs.pytorch.org/tutorials/recipes/recipes/saving_and_loading_a_general_checkpoint.html",
            ),
            _pull("KempnerInstitute/KempnerForge", 115),
            _issue("NVIDIA-NeMo/Automodel", 763),
            _issue("paiml/entrenar", 293),
        ),
    ),
    Remedy(
        "skip_seen_batches",
        (
            Source(
                "Bekman: ML Engineering",
                "https://github.com/stas00/ml-engineering/blob/master/training/instabilities/training-loss-patterns.md",
            ),
        ),
    ),
    # Precision
    Remedy(
        "use_bfloat16",
        (
            _arxiv("Kalamkar et al. 2019", "1905.12322"),
            _issue("karpathy/nanoGPT", 167),
            _issue("SWivid/F5-TTS", 341),
        ),
    ),
    Remedy(
        "scale_loss",
        (_MICIKEVICIUS, _pytorch("mixed precision examples", "notes/amp_examples")),
    ),
    Remedy(
        "sum_in_float32",
        (_MICIKEVICIUS, _issue("simple-stories/simple_stories_train", 47)),
    ),
    Remedy("watch_loss_scale", (_MICIKEVICIUS, _OPT)),
)
"""Remedy by key."""
