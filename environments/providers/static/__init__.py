"""A folder of pages with state per episode, served from this process: thousands of episodes at once."""
