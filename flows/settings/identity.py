"""The settings that must not change between the start of a run and its resume, and those that may.

The digest in run.json guards config.yaml against edits. It leaves out the settings that a resume may change, so that
config.yaml can be replaced without a moment in which file and digest disagree.
"""

import hashlib
import re
from collections.abc import Mapping
from typing import Any

from flows.settings.loop_config import LoopConfig, flatten

PLACES = ("services.", "storage.", "runs_dir", "environment.listen")
"""Ports and folders: never part of the identity."""
FREED = (
    ("serving.sleep", "update.processes", "update.machines", "update.rendezvous", "update.sharding"),
    (
        "update.micro_batch_size",
        "update.micro_batch_tokens",
        "update.gradient_checkpointing",
        "update.keep_warm",
        "update.device",
        "update.alarms",
        "update.alarm_entropy",
        "update.alarm_gap",
        "update.alarm_zero_groups",
    ),
)
"""Keys that were part of the digest until a version of the program added them to `LIMITS`; a row for each such version, the
earliest first. Runs that were begun before have them in their digests, so a row is never changed."""
LIMITS = (
    "rollout.limits",
    "rollout.model_queue",
    "rollout.in_flight_mb",
    "judge.overlap",
    "judge.canary_alarm",
    "policy.update_deadline_s",
    "serving.start_deadline_s",
    "serving.publish_deadline_s",
    "serving.publish_order",
    "serving.transfer",
    "serving.transfer_deltas",
    "serving.transfer_address",
    "update.liger",
    *(key for row in FREED for key in row),
)
"""Concurrency, memory, limits, deadlines and alarms: other values do not change the results of a stage that finishes."""
JUDGE_LIMITS = re.compile(r"judge\.(?:model|models\.[^.]+)\.(?:concurrency|deadline_s|most_tokens|most_cost)")
"""The limits of a judge model."""
ITERATIONS = "iterations"
"""May only grow: a run can be made longer."""


def config_hash(config: LoopConfig) -> str:
    """Hex digest of all settings that decide results."""
    return digest(config.model_dump(mode="json"))


def digest(data: Mapping[str, Any]) -> str:
    """`config_hash` for the parsed content of a config.yaml."""
    return _digest({key: value for key, value in flatten(data).items() if not may_change(key)})


def is_of(data: Mapping[str, Any], recorded: str) -> bool:
    """True if the content of a config.yaml has the digest in run.json, which any version of the program has written."""
    # The first versions counted all but the places.
    whole = flatten({key: value for key, value in data.items() if key not in ("services", "runs_dir")})
    flat = flatten(data)
    counted = [{key for row in FREED[since:] for key in row} for since in range(len(FREED) + 1)]
    found = ({key: value for key, value in flat.items() if key in keys or not may_change(key)} for keys in counted)
    return recorded in {_digest(one) for one in (*found, whole)}


def may_change(key: str) -> bool:
    """True if a resume may change this key. Example of a key: `rollout.limits.model`."""
    if key == ITERATIONS or JUDGE_LIMITS.fullmatch(key):
        return True
    return any(key == one or key.startswith(f"{one.rstrip('.')}.") for one in (*PLACES, *LIMITS))


def changed(old: LoopConfig, new: LoopConfig) -> dict[str, tuple[Any, Any]]:
    """The keys with different values, with old and new value; `services` and `runs_dir` are left out."""
    mine, other = (flatten(each.model_dump(mode="json", exclude={"services", "runs_dir"})) for each in (old, new))
    keys = sorted(key for key in mine.keys() | other.keys() if mine.get(key) != other.get(key))
    return {key: (mine.get(key), other.get(key)) for key in keys}


def _digest(flat: Mapping[str, Any]) -> str:
    return hashlib.sha256(repr(sorted(flat.items())).encode()).hexdigest()
