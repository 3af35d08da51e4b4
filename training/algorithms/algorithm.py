"""An algorithm: its settings together, filled in by a preset. Combinations without a meaning are refused in a sentence."""

from collections.abc import Mapping
from typing import Any

from pydantic import model_validator

from training.algorithms.credit_settings import CreditSettings
from training.algorithms.loss_settings import LossSettings
from training.algorithms.presets import PresetName, with_preset


class Algorithm(CreditSettings, LossSettings):
    """Credit and loss of an update."""

    preset: PresetName = "grpo"
    """Algorithm whose settings fill in the keys that are not set here; `rl-loop presets` prints them."""

    @model_validator(mode="before")
    @classmethod
    def _fill_in(cls, given: Any) -> Any:
        """Fills in the preset's settings."""
        return with_preset(given) if isinstance(given, Mapping) else given

    @model_validator(mode="after")
    def _has_meaning(self) -> "Algorithm":
        if why := why_meaningless(self):
            raise ValueError(why)
        return self


def why_meaningless(chosen: Algorithm) -> str | None:
    """Returns the sentence about the first combination without a meaning; None when there is none."""
    return _credit(chosen) or _loss(chosen) or _replay(chosen)


def _credit(chosen: Algorithm) -> str | None:
    if chosen.step_weight and chosen.credit in ("ema", "success"):
        return (
            f"step_weight {chosen.step_weight:g} adds advantages within a group, but credit {chosen.credit} has none; use "
            "credit group or leave_one_out, or set step_weight to 0"
        )
    if chosen.credit == "ema" and chosen.advantage_scale == "std":
        return (
            "credit ema has groups of one, which have no standard deviation; set advantage_scale to batch_std or none"
        )
    if chosen.credit == "success" and (chosen.format_penalty or chosen.repetition_penalty or chosen.length_penalty):
        return (
            "penalties lower advantages, but with credit success all advantages are 1; mask steps with mask_unparsable and "
            "mask_unchanged instead"
        )
    return None


def _loss(chosen: Algorithm) -> str | None:
    if chosen.loss_type == "nll" and chosen.credit != "success":
        return (
            f"loss_type nll has no bound for negative advantages, which credit {chosen.credit} gives; use credit success, or "
            "another loss_type"
        )
    if chosen.loss_type in ("cispo", "nll") and chosen.proximal_policy != "sampling":
        return (
            f"loss_type {chosen.loss_type} clips no ratio to a proximal policy; set proximal_policy to sampling, or use "
            "loss_type dapo or gspo"
        )
    if chosen.behaviour_weight != "mask" and chosen.proximal_policy == "sampling":
        return (
            f"behaviour_weight {chosen.behaviour_weight} is the ratio of the proximal to the sampling policy, which is 1 "
            "with proximal_policy sampling; set proximal_policy to recomputed or interpolated"
        )
    if chosen.dual_clip is not None and chosen.loss_type in ("cispo", "nll"):
        return f"dual_clip bounds a clipped ratio, and loss_type {chosen.loss_type} has none; leave it out"
    if chosen.dual_clip is not None and chosen.dual_clip <= 1 + chosen.clip_high:
        return f"dual_clip {chosen.dual_clip:g} must be above 1 + clip_high, which is {1 + chosen.clip_high:g}"
    return None


def _replay(chosen: Algorithm) -> str | None:
    if chosen.replay_samples is not None and chosen.credit != "success":
        return (
            f"replay_samples draws from a buffer of successes, which credit {chosen.credit} has not; use credit success, or "
            "leave it out"
        )
    if chosen.credit != "success" and chosen.replay_iterations > chosen.max_staleness:
        return (
            f"replay_iterations {chosen.replay_iterations} is beyond max_staleness {chosen.max_staleness}: these successes "
            "would be left out as stale; raise max_staleness or lower replay_iterations"
        )
    return None
