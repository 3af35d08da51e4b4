"""The dashboard: a web app over run folders, down to every step of every rollout; it also plays and judges rollouts by hand."""
