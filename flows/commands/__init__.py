"""The commands of `rl-loop`."""
