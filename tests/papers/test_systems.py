"""The table of systems is exactly the list of the project."""

from collections import Counter

from culet.experiments.experiment import Experiment
from culet.papers import SYSTEMS, built, find_experiment
from culet.papers.systems import WORKS

SLUGS = {
    "language models": """gemma gemma-2 gemma-3 griffin recurrent-gemma paligemma-2 medgemma embedding-gemma vaultgemma
        gemini gemini-1-5 gemini-2-5 query-decoder vec2text""",
    "post-training": "bond warp oaif rlaif rlef language-irl musicrl policy-distillation",
    "reinforcement learning": """acme brax rlds rl-unplugged effective-rank mog-critics r2d3 ur-gates on-policy-study
        adversarial-imitation-study imitation-hyperparameters aquadem poir apart convex-mdp behavior-priors iwpa
        information-asymmetry compress-and-control byol-explore byol-hindsight gem-exploration cca hca self-predictive
        svd-representations geometric-composition mean-field-games deep-mean-field progressive-nets ewc""",
    "probability and inference": "tf-distributions svi sparse-svi nonparametric-vi celeste audio-textures beta-vae",
    "learning rules and representations": """dks prong mfng deep-tempering generative-entangling deep-boltzmann theano
        half-hop bams equilibrium-propagation ghost-units spiking-chl stdp plausible-learning""",
}
COUNTS = {
    "language models": 14,
    "post-training": 8,
    "reinforcement learning": 31,
    "probability and inference": 7,
    "learning rules and representations": 14,
}


def test_the_slugs():
    assert Counter(system.facet for system in SYSTEMS.values()) == COUNTS
    assert {facet: len(slugs.split()) for facet, slugs in SLUGS.items()} == COUNTS
    assert len(SYSTEMS) == sum(COUNTS.values()) == 74
    for facet, slugs in SLUGS.items():
        assert [slug for slug, system in SYSTEMS.items() if system.facet == facet] == slugs.split()


def test_systems_say_what_they_are():
    for slug, system in SYSTEMS.items():
        assert slug == system.slug and system.title and 2012 <= system.year <= 2025
        assert 10 < len(system.user_can) < 100 and not system.user_can.endswith(".")
    assert len({system.title for system in SYSTEMS.values()}) == 74


def test_what_is_built_has_an_experiment_and_what_works_has_none_yet():
    assert {"gemma-2", "griffin", "recurrent-gemma"} <= set(built()) <= set(SYSTEMS)
    assert set(WORKS) <= set(SYSTEMS) - set(built())
    for slug in built():
        experiment = find_experiment(slug)
        assert isinstance(experiment, Experiment) and experiment.slug == slug
