"""The base of the configuration's sections."""

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """Base of the sections: frozen, unknown keys refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
