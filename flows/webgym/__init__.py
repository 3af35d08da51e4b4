"""Coming from WebGym: its configuration as ours, and our trajectories in its fields."""
