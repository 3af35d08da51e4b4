"""Recipe of an update: all that decides its result besides the samples. A repeated update is known by it.

The samples have a digest of their own (`training.samples.digest`); parent and configuration are here. Checkpoints that were
written before recipes were kept have none, and are then told apart by parent version and samples alone.
"""

from typing import Any

from pydantic import BaseModel, ConfigDict

from training.config import UpdateConfig

WITHOUT_EFFECT = frozenset(
    {
        "micro_batch_size",
        "gradient_checkpointing",
        "device",
        "canaries",
        "keep_last",
        "max_staleness",
        "max_bad_fraction",
        "max_gap_trajectories",
        "decay_versions",
    }
)
"""Keys of a configuration that leave the result as it is: memory and speed, what is kept beside the weights, and bounds that
refuse an update or choose samples (the digest of the samples has those; not of the trajectories that `max_gap_mean` and
`max_gap_fraction` mask later, so that these two count). `decay_versions` is in the learning rate."""


class Recipe(BaseModel):
    """Example: `Recipe(parent_digest="9f8c...", temperature=1.0, config={"learning_rate": 1e-6, "loss_type": "dapo", ...})`."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    parent_digest: str
    """`Checkpoint.digest` of the policy that was trained."""
    temperature: float
    """At which the samples were taken."""
    config: dict[str, Any]
    """The keys that have an effect; the learning rate is that of this version."""


def recipe_of(config: UpdateConfig, version: int, *, parent_digest: str, temperature: float) -> Recipe:
    """The recipe of the update that makes `version`."""
    settings = config.for_version(version).model_dump(mode="json")
    return Recipe(
        parent_digest=parent_digest,
        temperature=temperature,
        config={key: value for key, value in settings.items() if key not in WITHOUT_EFFECT},
    )


def difference(made: Recipe, wanted: Recipe) -> str | None:
    """What differs between two recipes, in words; None when they give the same.

    A key that only one of them has, for the program has changed since, counts with its default on the other side.
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
