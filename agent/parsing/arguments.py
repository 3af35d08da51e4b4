"""The arguments of one call, by position and checked on access: a mark, a point, a text."""

from collections.abc import Sequence

from agent.parsing.call import Argument, Call
from agent.parsing.errors import FormatError
from browser_service.models import Viewport

MAX_MARK = 100_000
MAX_TEXT = 10_000
ALIASES = {"element_id": "id", "key": "keys", "time": "seconds", "content": "text"}
"""Alternative parameter names that models use."""


class Arguments:
    """Arguments of a call by the verb's parameters. Every method raises `FormatError` for a value of another type."""

    def __init__(self, call: Call, parameters: Sequence[str], *, viewport: Viewport, grid: int) -> None:
        self.verb = call.name
        self._values = _by_position(call, parameters)
        self._viewport, self._grid = viewport, grid

    def __len__(self) -> int:
        return len(self._values)

    def integer(self, position: int) -> int:
        """A whole number."""
        value = self._at(position)
        if not isinstance(value, int):
            raise FormatError(f"{self.verb}: argument {position + 1} must be a whole number, found {value!r:.40}")
        return value

    def number(self, position: int) -> float:
        """A number."""
        value = self._at(position)
        if isinstance(value, str):
            raise FormatError(f"{self.verb}: argument {position + 1} must be a number, found {value!r:.40}")
        return float(value)

    def text(self, position: int) -> str:
        """Text, with numbers as they were written, cut at `MAX_TEXT` characters."""
        return str(self._at(position))[:MAX_TEXT]

    def mark(self, position: int) -> int:
        """The number of an element."""
        mark = self.integer(position)
        if not 1 <= mark <= MAX_MARK:
            raise FormatError(f"{self.verb}: elements are numbered from 1, found {str(mark)[:20]}")
        return mark

    def point(self, position: int) -> tuple[float, float]:
        """A point of the grid, from this argument and the next, in CSS pixels."""
        x, y = self.number(position), self.number(position + 1)
        if not (0 <= x <= self._grid and 0 <= y <= self._grid):
            raise FormatError(f"{self.verb}: x and y go from 0 to {self._grid}, found {x:g} and {y:g}")
        # The last grid line lies on the edge; the last pixel that can be clicked is one less.
        width, height = self._viewport.width, self._viewport.height
        return min(x / self._grid * width, width - 1), min(y / self._grid * height, height - 1)

    def _at(self, position: int) -> Argument:
        if position >= len(self._values):
            raise FormatError(f"{self.verb}: argument {position + 1} is missing")
        return self._values[position]


def _by_position(call: Call, parameters: Sequence[str]) -> tuple[Argument, ...]:
    """Positional and named arguments in one tuple. Raises FormatError for a name that the verb does not have."""
    named = {ALIASES.get(name, name): value for name, value in call.named.items()}
    for name in named:
        if name not in parameters[len(call.arguments) :]:
            takes = ", ".join(parameters) or "none"
            raise FormatError(f"{call.name} has no argument {name[:30]!r} here; its arguments: {takes}")
    values = list(call.arguments)
    for name in parameters[len(values) :]:
        if name in named:
            values.append(named.pop(name))
        elif named:
            raise FormatError(f"{call.name}: {name} is missing")
        else:
            break
    return tuple(values)
