"""A loop's configuration, and the run folder that holds it."""
