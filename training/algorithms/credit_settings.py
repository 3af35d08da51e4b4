"""Settings of credit: rewards -> advantages, and the steps that are trained on."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from training.algorithms.ranges import NotNegative, Positive, Share


class CreditSettings(BaseModel):
    """The part of `update` that gives each step its advantage, or leaves it out."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    credit: Literal["group", "leave_one_out", "ema", "success"] = "group"
    """Advantage of a trajectory before scaling. `group`: reward minus the group's mean (GRPO). `leave_one_out`: minus the
    mean of the others (RLOO). `ema`: minus a moving average of the task's rewards; groups of one are enough. `success`: 1
    for rewards of at least `success_reward`, others are left out (filtered behaviour cloning); never scaled."""
    advantage_scale: Literal["std", "batch_std", "none"] = "std"
    """`std` divides a group's centred rewards by their standard deviation (GRPO), `batch_std` by that of all rewards of
    the update, `none` leaves them (Dr. GRPO)."""
    advantage_epsilon: Positive = 1e-4
    """Added to the standard deviation, so that the advantages of a nearly constant group stay bounded."""
    advantage_min_std: NotNegative = 0.05
    """Lower bound of the standard deviation that divides rewards. One failure among up to 400 successes is above it;
    rewards that differ by 0.01 are below it and get small advantages, not those of a failure."""
    baseline_decay: Annotated[float, Field(ge=0, lt=1)] = 0.9
    """Share of the old value in a task's moving average (`credit: ema`)."""
    success_reward: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Lowest reward of a success, for `credit: success` and for replay."""

    step_weight: NotNegative = 0.0
    """Weight of step advantages (GiGPO): steps of a group that began at the same page are compared with one another.
    0: off."""
    step_discount: Annotated[float, Field(gt=0, le=1)] = 0.95
    """Discount per step of the reward at the end, for step advantages."""
    step_anchor: Literal["page", "screenshot"] = "page"
    """Steps begin at the same page if these agree: `page`, the address without its port and the accessibility tree (the
    marks where no tree is recorded); `screenshot`, the picture, byte for byte."""

    format_penalty: Share = 0.0
    """Subtracted from a trajectory's advantage, after scaling, for each output that could not be parsed."""
    repetition_penalty: Share = 0.0
    """Subtracted from a trajectory's advantage, after scaling, for each action repeated on an unchanged screen."""
    length_penalty: Share = 0.0
    """Subtracted from a trajectory's advantage, after scaling, times the share of the step budget that it used."""
    mask_truncated: bool = True
    """Leave out answers cut off by the token limit: the model did not choose their end."""
    mask_unparsable: Literal["none", "positive", "all"] = "none"
    """Leave out outputs that could not be parsed: those with a positive advantage, or all. A penalty is
    `format_penalty`; both may be set."""
    mask_unchanged: Literal["none", "positive", "all"] = "none"
    """Leave out steps after which the screenshot is the same: those with a positive advantage, or all (WebGym)."""

    replay_iterations: Annotated[int, Field(ge=0)] = 0
    """Earlier iterations whose successes are trained on again. With `credit: success` all of them (WebGym's buffer);
    otherwise the newest success of the same task joins a group in which all failed (ARPO 2505.16282)."""
    replay_samples: Annotated[int, Field(ge=1)] | None = None
    """Steps drawn from the buffer, without replacement (`credit: success`); None: all."""
    replay_recency: NotNegative = 0.0
    """Steps are drawn in proportion to (position + 1) to this power, the oldest at position 0. WebGym: 2."""
