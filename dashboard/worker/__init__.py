"""The worker: a process of its own that plays and judges the rollouts which people asked for."""
