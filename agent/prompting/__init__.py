"""Prompts: from a task, a history and a page to messages that fit the context."""
