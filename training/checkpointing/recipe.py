"""Recipe of an update: all inputs that decide its result besides the samples. It identifies a repeated update.

The samples have a digest of their own (`training.sampling.samples.digest`); parent and configuration are here. Checkpoints older
than recipes have none; they are compared by parent version and samples alone.
"""

from typing import Any

from pydantic import BaseModel, ConfigDict

from training.config import UpdateConfig

WITHOUT_EFFECT = frozenset(
    {
        "preset",
        "alarms",
        "alarm_entropy",
        "alarm_gap",
        "alarm_zero_groups",
        "micro_batch_size",
        "micro_batch_tokens",
        "keep_warm",
        "processes",
        "machines",
        "rendezvous",
        "sharding",
        "gradient_checkpointing",
        "liger",
        "device",
        "canaries",
        "keep_last",
        "max_staleness",
        "max_bad_fraction",
        "max_gap_trajectories",
        "decay_versions",
        "verdict_set",
    }
)
"""Configuration keys that do not change the result: memory and speed, files kept beside the weights, and bounds that
reject an update or select samples (the digest of the samples covers the selection; it does not cover the trajectories
that `max_gap_mean` and `max_gap_fraction` mask later, so these two count). `decay_versions` is in the learning rate, `preset` in the
keys that it fills in."""


class Recipe(BaseModel):
    """Example: `Recipe(parent_digest="9f8c...", temperature=1.0, config={"learning_rate": 1e-6, "loss_type": "dapo", ...})`."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    parent_digest: str
    """`Checkpoint.digest` of the policy that was trained."""
    temperature: float
    """Sampling temperature of the samples."""
    config: dict[str, Any]
    """The keys that change the result; the learning rate is that of this version."""


def recipe_of(config: UpdateConfig, version: int, *, parent_digest: str, temperature: float) -> Recipe:
    """The recipe of the update that makes `version`."""
    settings = config.for_version(version).model_dump(mode="json")
    return Recipe(
        parent_digest=parent_digest,
        temperature=temperature,
        config={key: value for key, value in settings.items() if key not in WITHOUT_EFFECT},
    )


def difference(made: Recipe, wanted: Recipe) -> str | None:
    """Describes the difference between two recipes in words; None when they give the same result.

    A key that only one of them has, because the program has changed since, counts with its default on the other side.
    Example: `"update.learning_rate is 0.001 there and 0.002 here"`.
    """
    defaults = UpdateConfig().model_dump(mode="json")
    known = [key for key in wanted.config if key in defaults]
    found = [
        f"update.{key} is {made.config.get(key, defaults[key])!r} there and {wanted.config[key]!r} here"
        for key in known
        if made.config.get(key, defaults[key]) != wanted.config[key]
    ]
    if made.temperature != wanted.temperature:
        found.insert(0, f"its samples were taken at temperature {made.temperature:g}, these at {wanted.temperature:g}")
    if made.parent_digest != wanted.parent_digest:
        found.insert(0, "its parent had other files")
    return ", ".join(found) or None
