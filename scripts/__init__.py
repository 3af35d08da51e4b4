"""Scripts that make files of the repository: the demo's policy, the map of all files."""
