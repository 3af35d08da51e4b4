"""The base class of every wire type, and the scalars that several of them share."""

from typing import Annotated, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field

Direction = Literal["up", "down", "left", "right"]
Button = Literal["left", "right", "middle"]
InteractionMode = Literal["set_of_marks", "coordinates"]
ImageFormat = Literal["png", "jpeg", "webp"]
Fault = Literal["infra", "site", "policy", "client"]
Isolation = Literal["context", "browser"]
Coordinate = Annotated[float, Field(ge=0, le=16_384, allow_inf_nan=False, description="CSS pixels in the viewport")]
MarkId = Annotated[int, Field(ge=1, le=100_000, description="displayed number of a marked element")]
Key = Annotated[str, Field(min_length=1, max_length=32)]
Held = Annotated[list[Key], Field(max_length=6, description="keys that are held meanwhile")]
Text = Annotated[str, Field(max_length=10_000)]
Name = Annotated[str, Field(min_length=1, max_length=200)]


W = TypeVar("W", bound="Wire")


class Wire(BaseModel):
    """Base of all data that crosses a process boundary: frozen, unknown fields rejected."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


def from_another_version(model: type[W], body: bytes | str) -> W:
    """Parses a message of a part of the service that may have a newer version: unknown fields are ignored.

    Only input of clients and people is parsed strictly, because there an unknown field is a mistake. Raises
    `pydantic.ValidationError`.
    """
    return model.model_validate_json(body, extra="ignore")
