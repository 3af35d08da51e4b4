"""Verifiers without a model: compare the final answer, page or state with a task's expectation. Exact and repeatable."""
