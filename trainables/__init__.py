"""How one configuration is learnt: models, one training loop, and its thin wrapping as a Ray Tune function."""
