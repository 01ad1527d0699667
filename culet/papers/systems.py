"""The systems that this library is to hold, 74 of them, whether they are built yet or not."""

import importlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from culet.experiments.results import read_result
from culet.experiments.verdict import verdict_with_control

if TYPE_CHECKING:
    from culet.experiments import Experiment


class System(NamedTuple):
    """A published system. Its slug names it everywhere: on the command line, in `culet.papers`, in `results/`."""

    slug: str
    title: str
    year: int
    facet: str
    user_can: str  # what it is for, from the user's side


def _facet(facet: str, *rows: tuple[str, str, int, str]) -> tuple[System, ...]:
    return tuple(System(slug, title, year, facet, user_can) for slug, title, year, user_can in rows)


_LANGUAGE = _facet(
    "language models",
    ("gemma", "Gemma", 2024, "load, tune, save and talk to it, with logits equal to the reference"),
    ("gemma-2", "Gemma 2", 2024, "the same; distil a student that beats its twin trained on tokens alone"),
    ("gemma-3", "Gemma 3", 2025, "the same with images, and long texts at a sixth of the cache"),
    ("griffin", "Griffin and Hawk", 2024, "train and run both at a flat cost per token, beyond the training length"),
    ("recurrent-gemma", "RecurrentGemma", 2024, "load, tune and run a model whose state never grows"),
    ("paligemma-2", "PaliGemma 2", 2024, "caption, answer, detect and segment, and tune it for a task of one's own"),
    ("medgemma", "MedGemma and MedSigLIP", 2025, "read medical images, tune, classify zero-shot and by linear probes"),
    ("embedding-gemma", "EmbeddingGemma", 2025, "embed, search, truncate and quantise; train one by the whole recipe"),
    ("vaultgemma", "VaultGemma", 2025, "train any model under differential privacy that an accountant confirms"),
    ("gemini", "Gemini", 2023, "train and query one small model of images, sound, video and text"),
    ("gemini-1-5", "Gemini 1.5", 2024, "train a sparse mixture of experts, and find a needle in a long text"),
    ("gemini-2-5", "Gemini 2.5", 2025, "give a model a budget to think and tools, and see it answer better"),
    ("query-decoder", "Decoding a neural retriever's latent space", 2022, "turn vectors into queries"),
    ("vec2text", "vec2text with round-trip translations", 2022, "get fluent text from any vector"),
)  # fmt: skip

_POST_TRAINING = _facet(
    "post-training",
    ("bond", "BOND: best-of-N distillation", 2024, "train a policy that samples once what best-of-N would choose"),
    ("warp", "WARP: weight-averaged rewarded policies", 2024, "merge policies for a better trade of reward and drift"),
    ("oaif", "Direct alignment from online AI feedback", 2024, "align online with any judge that can be prompted"),
    ("rlaif", "RLAIF, beside RLHF and direct", 2023, "learn from AI labels, by a reward model or without one"),
    ("rlef", "Factual summaries by entailment feedback", 2023, "train a summariser that says only what its text says"),
    ("language-irl", "Imitating language by inverse RL", 2024, "go from likelihood to imitation by one coefficient"),
    ("musicrl", "MusicRL", 2024, "make music from a prompt, hear it, and tune the maker on rewards and preferences"),
    ("policy-distillation", "Policy distillation", 2015, "press one teacher, or several, into a smaller student"),
)

_REINFORCEMENT = _facet(
    "reinforcement learning",
    ("acme", "Acme", 2020, "define an agent once and run it jitted, locally or on a cluster"),
    ("brax", "Brax", 2021, "simulate, differentiate and train thousands of bodies on the device"),
    ("rlds", "RLDS", 2021, "record episodes without loss, read them back bit for bit, and share them"),
    ("rl-unplugged", "RL Unplugged", 2020, "make or read offline data sets and get the protocol's table"),
    ("effective-rank", "Implicit regularisation in offline RL", 2022, "watch rank and dead units in training"),
    ("mog-critics", "Gaussian-mixture critics", 2022, "learn distributional values with no range to set"),
    ("r2d3", "R2D3", 2019, "solve sparse, partly hidden tasks from a few demonstrations"),
    ("ur-gates", "Improving the gating mechanism", 2019, "swap in gates that learn long dependencies"),
    ("on-policy-study", "What matters in on-policy RL", 2020, "sweep fifty choices at once and see what each does"),
    ("adversarial-imitation-study", "What matters for adversarial imitation", 2021, "the same for imitation"),
    ("imitation-hyperparameters", "Hyperparameters for imitation", 2021, "choose settings without seeing a reward"),
    ("aquadem", "AQuaDem", 2021, "use discrete agents for continuous control, with actions from demonstrations"),
    ("poir", "POIR", 2023, "clone a policy that finds back when pushed off its demonstrations"),
    ("apart", "APART", 2023, "find every skill of a grid world"),
    ("convex-mdp", "Reward is enough for convex MDPs", 2021, "reach any convex goal over states by a game of rewards"),
    ("behavior-priors", "Behavior priors", 2020, "learn a prior over tasks and carry it to new ones"),
    ("iwpa", "Importance weighted policy adaptation", 2020, "adapt to a new task within a few episodes"),
    ("information-asymmetry", "Information asymmetry in KL-regularised RL", 2019, "learn a default that sees less"),
    ("compress-and-control", "Compress and Control", 2014, "evaluate a policy with any model of densities"),
    ("byol-explore", "BYOL-Explore", 2022, "explore by the error of one prediction of latents"),
    ("byol-hindsight", "Curiosity in hindsight", 2022, "be curious without being caught by noise"),
    ("gem-exploration", "Geometric entropic exploration", 2021, "spread over states by their geometry"),
    ("cca", "Counterfactual credit assignment", 2020, "use what came later as a baseline, without bias"),
    ("hca", "Hindsight credit assignment", 2019, "give credit by how likely the past is in hindsight"),
    ("self-predictive", "Understanding self-predictive learning", 2022, "see why latents do not collapse"),
    ("svd-representations", "SVD representations and pseudo-counts", 2023, "get features and counts from batches"),
    ("geometric-composition", "Geometric policy composition", 2022, "plan by joining learned models of horizons"),
    ("mean-field-games", "Learning in mean field games", 2022, "solve games of crowds, and measure exploitability"),
    ("deep-mean-field", "Deep RL for mean field games", 2022, "solve larger ones without mixing networks"),
    ("progressive-nets", "Progressive neural networks", 2016, "add a column per task, and forget nothing"),
    ("ewc", "Elastic weight consolidation", 2016, "learn task after task in one network"),
)  # fmt: skip

_PROBABILITY = _facet(
    "probability and inference",
    ("tf-distributions", "TensorFlow Distributions", 2017, "compose, sample, score; train flows and PixelCNN"),
    ("svi", "Stochastic variational inference", 2012, "find topics, and how many, in a streaming corpus"),
    ("sparse-svi", "Sparse stochastic inference for LDA", 2012, "sample within online inference, with less bias"),
    ("nonparametric-vi", "Nonparametric variational inference", 2012, "fit a mixture to any differentiable posterior"),
    ("celeste", "Celeste", 2015, "make a catalogue of stars and galaxies, with errors, from FITS images"),
    ("audio-textures", "Diverse audio textures", 2018, "make new sound of a texture that keeps its rhythm"),
    ("beta-vae", "Understanding disentangling in beta-VAE", 2018, "control capacity, and look at what latents mean"),
)  # fmt: skip

_LEARNING = _facet(
    "learning rules and representations",
    ("dks", "Deep kernel shaping", 2021, "train deep plain networks with any activation"),
    ("prong", "Natural neural networks", 2015, "train whitened networks and see what the whitening costs"),
    ("mfng", "Metric-free natural gradient", 2013, "train Boltzmann machines, no metric stored"),
    ("deep-tempering", "Deep tempering", 2014, "get samples that move between modes"),
    ("generative-entangling", "Disentangling by generative entangling", 2012, "fit a higher-order spike-and-slab RBM"),
    ("deep-boltzmann", "On training deep Boltzmann machines", 2012, "train all layers at once"),
    ("theano", "Theano", 2016, "build, differentiate, print, stabilise and compile expressions; lift JAX functions"),
    ("half-hop", "Half-Hop", 2023, "slow messages down on edges, in front of any graph network"),
    ("bams", "BAMS", 2023, "embed behaviour at several time scales"),
    ("equilibrium-propagation", "Equilibrium propagation for vector fields", 2018, "learn from two relaxations"),
    ("ghost-units", "Ghost units", 2019, "learn locally what backpropagation would"),
    ("spiking-chl", "Spiking contrastive Hebbian learning", 2016, "fit functions with spiking networks"),
    ("stdp", "STDP from rate times rate of change", 2015, "see the curve arise, and learn by it"),
    ("plausible-learning", "Towards biologically plausible deep learning", 2015, "learn a deep model by local rules"),
)

SYSTEMS: dict[str, System] = {
    system.slug: system for system in (*_LANGUAGE, *_POST_TRAINING, *_REINFORCEMENT, *_PROBABILITY, *_LEARNING)
}


WORKS = ("gemma",)  # whole for a user, without an experiment on its paper's claims yet


def built() -> list[str]:
    """The slugs that have an experiment, in the order of `SYSTEMS`."""
    return [
        slug
        for slug in SYSTEMS
        if any((Path(__file__).parent / f"{_module(slug)}{ending}").exists() for ending in (".py", "/__init__.py"))
    ]


def find_experiment(slug: str) -> "Experiment":
    """The experiment of a system. Raises ValueError, listing what is built, for a slug that is unknown or planned."""
    there = built()
    if slug not in there:
        why = "is planned, but not built yet" if slug in SYSTEMS else "is no system of this library"
        raise ValueError(f"{slug!r} {why}; built are: {', '.join(there)}. `culet systems` lists all")
    return importlib.import_module(f"culet.papers.{_module(slug)}").experiment


def _module(slug: str) -> str:
    return slug.replace("-", "_")


def overview(results: Path | None) -> list[dict[str, Any]]:
    """All systems with their state and, from the kept result, claims with margins and the figure if it is there."""
    states = dict.fromkeys(SYSTEMS, "planned") | dict.fromkeys(WORKS, "works") | dict.fromkeys(built(), "built")
    rows = []
    for slug, system in SYSTEMS.items():
        result, control = read_result(results, slug), read_result(results, slug, "control")
        row = {**system._asdict(), "state": states[slug], "claims": [], "picture": None}
        if result is not None and results is not None:
            fields = ("text", "at_least", "mean", "interval", "verdict")
            figure = results / slug / result["figure"]
            row["state"] = verdict_with_control(result, control)
            row["claims"] = [{key: claim[key] for key in fields} for claim in result["claims"]]
            row["picture"] = str(figure) if figure.exists() else None
            row["commit"] = result["commit"]
        rows.append(row)
    return rows
