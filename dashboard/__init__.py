"""The dashboard: a read-only web app over run folders, down to every step of every rollout."""
