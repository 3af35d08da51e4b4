"""One leased browser context: its tabs, actions, observations and stored artifacts."""
