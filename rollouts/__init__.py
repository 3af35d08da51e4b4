"""The scheduler of a rollout: plan, shards, groups, carry-over, limits and players; no Prefect."""
