"""Topic models by stochastic variational inference: LDA, the HDP and sampled LDA."""
