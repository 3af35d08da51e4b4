"""The processes of the fleet: instance, node and master, their supervision and deployment."""
