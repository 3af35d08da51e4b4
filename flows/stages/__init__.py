"""The stages of an iteration, and the loop over them, without Prefect."""
