"""Section `policy` of the configuration: the first policy, and the deadline of updates."""

from pathlib import Path
from typing import Annotated

from pydantic import Field

from flows.settings.section import Section


class PolicyConfig(Section):
    """The first policy, and the deadline of updates."""

    model: Path
    """Directory of the first policy: weights, tokenizer, processor."""
    update_deadline_s: Annotated[float, Field(gt=0)] = 7_200.0
    """Seconds that one update may take."""
