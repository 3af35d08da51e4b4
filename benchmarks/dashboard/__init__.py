"""Speed of the dashboard: lists, long trajectories and the index, and the live grid."""
