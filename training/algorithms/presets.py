"""Presets: published algorithms as dictionaries of `update` settings. `rl-loop presets` prints them.

A preset fills in the keys that a configuration does not set; keys that it sets win. `grpo` lists the defaults of every
key that another preset changes, so `PRESETS["grpo"] | PRESETS[name]` is complete.
"""

from collections.abc import Mapping
from typing import Any, Literal

PresetName = Literal["grpo", "webgym", "asyncwebrl", "rloo", "gigpo", "dr_grpo", "gspo", "cispo"]

PRESETS: dict[PresetName, dict[str, Any]] = {
    # GRPO (2402.03300) with DAPO's mean over tokens and asymmetric clip (2503.14476), and a guard on the ratio.
    "grpo": {
        "credit": "group",
        "advantage_scale": "std",
        "step_weight": 0.0,
        "loss_type": "dapo",
        "normaliser": "tokens",
        "proximal_policy": "sampling",
        "behaviour_weight": "mask",
        "max_ratio": 5.0,
        "clip_low": 0.2,
        "clip_high": 0.28,
        "dual_clip": None,
        "mask_unchanged": "none",
        "replay_iterations": 0,
        "replay_samples": None,
        "replay_recency": 0.0,
        "max_staleness": 4,
        "max_grad_norm": 1.0,
    },
    # WebGym (February 2026): cloning of successful steps that changed the page, newer ones more often.
    "webgym": {
        "credit": "success",
        "loss_type": "nll",
        "mask_unchanged": "all",
        "replay_iterations": 3,
        "replay_samples": 1800,
        "replay_recency": 2.0,
        "epochs": 2,
        "warmup_steps": 30,
    },
    # AsyncWebRL (June 2026): decoupled PPO with a dual clip. It divides advantages by 10 steps and clips gradients at
    # a norm of 1; without the division that is a norm of 10, and Adam makes the same steps.
    "asyncwebrl": {
        "proximal_policy": "recomputed",
        "clip_high": 0.2,
        "dual_clip": 3.0,
        "max_staleness": 2,
        "max_grad_norm": 10.0,
        "learning_rate": 5e-6,
        "minibatches": 2,
        "epochs": 3,
    },
    # RLOO (2402.14740): the mean of the others as baseline, no scaling.
    "rloo": {"credit": "leave_one_out", "advantage_scale": "none", "clip_high": 0.2},
    # GiGPO (2505.10978): advantages of trajectories plus those of steps that began at the same page; no scaling.
    "gigpo": {"advantage_scale": "none", "step_weight": 1.0, "clip_high": 0.2},
    # Dr. GRPO (2503.20783): neither the group's spread nor a response's length divides.
    "dr_grpo": {"advantage_scale": "none", "normaliser": "constant", "normaliser_constant": 100.0, "clip_high": 0.2},
    # GSPO (2507.18071): one ratio per response, the geometric mean of its tokens' ratios.
    "gspo": {"loss_type": "gspo", "normaliser": "turn", "clip_low": 3e-4, "clip_high": 4e-4},
    # CISPO (MiniMax-M1, 2506.13585): capped, detached ratios; no token is without gradient.
    "cispo": {"loss_type": "cispo"},
}


def with_preset(given: Mapping[str, Any]) -> dict[str, Any]:
    """Fills in the keys of the preset that `given` names. An unknown name is left for the validation to refuse.

    Example: `with_preset({"preset": "rloo", "clip_high": 0.3})` has credit `leave_one_out` and clip_high 0.3.
    """
    name = given.get("preset")
    filled: Mapping[str, Any] = next((settings for known, settings in PRESETS.items() if known == name), {})
    return {**filled, **given}


def without_effect(given: Mapping[str, Any], read: Mapping[str, Any]) -> list[str]:
    """Keys that keep a configuration from the preset that it names: it sets all of the preset's keys, these to others.

    `given` is the configuration as it was written, `read` as it was understood. Empty if the preset fills in a key; a
    configuration that was written by a run sets every key.
    """
    settings = next((filled for known, filled in PRESETS.items() if known == read["preset"]), {})
    if not settings.keys() <= given.keys():
        return []
    return [key for key, value in settings.items() if read[key] != value]
