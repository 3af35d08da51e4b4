"""One leased browser context: its tabs, what it does, what it sees, what is kept of it."""
