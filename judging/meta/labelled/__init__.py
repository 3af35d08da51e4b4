"""Sets of trajectories with people's labels, in the formats of published benchmarks, read from a folder that the user has."""
