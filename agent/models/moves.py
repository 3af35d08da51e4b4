"""One call of a vendor's model -> moves: every error becomes a message to the model."""

from collections.abc import Callable

from pydantic import ValidationError

from agent.models.computer import Move
from agent.models.tool_arguments import BadCall, ToolArguments, View, where
from agent.types import AgentAction

Build = Callable[[ToolArguments], AgentAction | list[AgentAction]]


def moves(call: str, arguments: ToolArguments, build: Build) -> list[Move]:
    """The moves of a call: its actions in order, or one without an action, with its error."""
    try:
        built = build(arguments)
    except BadCall as error:
        return [Move(call, None, error=str(error))]
    except ValidationError as error:
        first = error.errors()[0]
        return [Move(call, None, error=f"{arguments.name}: {'.'.join(map(str, first['loc']))}: {first['msg']}")]
    actions = built if isinstance(built, list) else [built]
    return [Move(call, action, note=arguments.note if place == 0 else "") for place, action in enumerate(actions)]


def followed(view: View, made: list[Move]) -> View:
    """The view with the mouse position after the moves."""
    for move in made:
        if move.action is not None and (point := where(move.action)) is not None:
            view = view._replace(pointer=point)
    return view
