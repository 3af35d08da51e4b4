"""Settings of the rubric judge."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field


class RubricSettings(BaseModel):
    """Settings that change a verdict; they are part of its cache key."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    partial: bool = False
    """Reward the fraction of the facts that are met, instead of 1 only for all of them."""
    needs_answer: bool = True
    """An episode without an answer gets 0 without a call. False: for tasks whose result is a state of the site."""
    distrust_steering: bool = True
    """An agent whose answer or actions address the judge gets no positive reward; it stays unjudged."""
    find_blocked: bool = True
    """Apply the rules of `judging.blocking` first: a blocked episode is neither a success nor a failure."""
    most_pictures: Annotated[int, Field(ge=1, le=100)] = 12
    """Largest number of pages in a question. An episode with more asks first which of them matter."""
    pictures_per_call: Annotated[int, Field(ge=1, le=100)] = 16
    """Pages per call when it asks which of them matter."""
    answer_limit: Annotated[int, Field(ge=100, le=10_000)] = 2_000
    """Characters of the answer that are shown."""
    text_limit: Annotated[int, Field(ge=0, le=50_000)] = 3_000
    """Characters of a page's text that are shown."""
