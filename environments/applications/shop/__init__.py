"""A small shop of our own: browse, cart, wish list, orders, account. Its state is in memory, one per episode."""
