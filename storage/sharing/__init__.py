"""Forms of a trajectory that leave the run folder: one HTML file for people."""
