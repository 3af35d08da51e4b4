"""Settings of LoRA (arXiv 2106.09685): small trained matrices beside fixed weights."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field


class LoraSettings(BaseModel):
    """The adapter of `update.lora`. Example: `LoraSettings(rank=16, alpha=32)`; each weight W becomes W + alpha / rank B A."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    rank: Annotated[int, Field(ge=1, le=1024)] = 16
    """Rank of the trained product; two matrices (out, rank) and (rank, in) per weight."""
    alpha: Annotated[int, Field(ge=1)] = 32
    """Scale of the product, divided by the rank."""
    target_modules: Annotated[tuple[str, ...], Field(min_length=1)] = (
        "q_proj",
        "k_proj",
        "v_proj",
        "o_proj",
        "gate_proj",
        "up_proj",
        "down_proj",
    )
    """Ends of the names of the linear layers that get an adapter. The default is every one of the language model, and none
    of the vision tower."""
