"""Types of a rollout, the episode loop, and everything that decides: prompts, parsers, models, judges."""
