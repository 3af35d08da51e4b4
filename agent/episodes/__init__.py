"""The episode loop, with its lease, its record and its films."""
