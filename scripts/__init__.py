"""Scripts that make what the repository ships: the demo's policy, the map of all files."""
