"""Who gets a browser, when, and for how long: one protocol, a store in this process and one in Redis."""
