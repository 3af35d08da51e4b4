"""The start of a run, its checks before, and the cleanup after a lost process."""
