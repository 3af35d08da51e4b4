"""The egress proxy, the browsers' only network access: one port per context; every address is checked, then dialled."""
