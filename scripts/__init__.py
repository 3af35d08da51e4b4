"""Scripts that make what the repository ships: the demo's policy, the tree in the README."""
