"""The nouns of a rollout, the episode loop, and everything that thinks: prompts, parsers, models, judges."""
