"""Records of a run in MLflow: metrics, pages and sample trajectories."""
