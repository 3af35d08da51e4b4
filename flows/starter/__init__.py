"""The starter project of `rl-loop init`: a configuration, an environment and a task file of one's own."""
