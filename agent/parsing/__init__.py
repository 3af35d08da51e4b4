"""Model text -> action. Text that is no action raises a `FormatError` whose message the model sees."""

from agent.parsing.errors import FormatError
from agent.parsing.grammar import GRID, grammar, parse_brief, parse_full

__all__ = ["GRID", "FormatError", "grammar", "parse_brief", "parse_full"]
