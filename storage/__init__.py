"""Everything on disk: trajectories with their pictures, progress and live files of a stage, names, locks and heartbeats of runs."""
