"""Commands that bring in what other projects have: configurations and tasks."""

from flows.commands.imports.app import import_app

__all__ = ["import_app"]
