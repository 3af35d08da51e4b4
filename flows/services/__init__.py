"""The services of a stack: their specifications, the supervisor that keeps them alive, and clients of their load."""
