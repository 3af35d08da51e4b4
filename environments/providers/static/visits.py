"""Input and output of an action of a static application: the fields of a form, the visitor, and the next page."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict

StateT = TypeVar("StateT", bound="State")


class State(BaseModel):
    """Base of the state of an episode; a subclass has the application's fields. Assignments are validated.

    Things that come and go are dictionaries by id, so that a change is found by its path.
    """

    model_config = ConfigDict(extra="forbid", validate_assignment=True, allow_inf_nan=False)


class Refused(Exception):
    """An action that the application refuses; the page shows the message. The state stays as it was."""


@dataclass
class Visit:
    """One request of the browser. Example: `Visit(fields={"product": "lamp-3"}, signed_in=True)`."""

    fields: Mapping[str, str]
    """Fields of the form or of the address, at most 10,000 characters each."""
    signed_in: bool = True
    """An action may change it: the visitor signs in or out."""
    notice: str = field(default="", init=False)
    """Message that the next page shows."""

    def text(self, name: str, *, longest: int = 1_000) -> str:
        """A field without surrounding space. Raises `Refused` if it is empty or too long."""
        value = self.fields.get(name, "").strip()
        if not value:
            raise Refused(f"Please fill in the {name.replace('_', ' ')}.")
        if len(value) > longest:
            raise Refused(f"The {name.replace('_', ' ')} is too long.")
        return value

    def number(self, name: str, *, least: int, most: int) -> int:
        """A whole number in a field. Raises `Refused`."""
        try:
            value = int(self.text(name, longest=12))
        except ValueError:
            raise Refused(f"The {name.replace('_', ' ')} must be a number.") from None
        if not least <= value <= most:
            raise Refused(f"The {name.replace('_', ' ')} must be from {least} to {most}.")
        return value


def known(things: Mapping[str, Any], visit: Visit, name: str) -> str:
    """The id in a field, if it is one of `things`. Raises `Refused`."""
    if (key := visit.text(name)) not in things:
        raise Refused(f"There is no such {name.replace('_', ' ')}.")
    return key


Action = Callable[[Any, Visit], str]
"""Changes the state and returns the next page, such as `cart.html`. Raises `Refused`."""
View = Callable[[Any, Visit], dict[str, Any]]
"""Computes further variables of a page from state and address."""
