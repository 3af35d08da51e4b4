"""The equal of each key of WebGym's configuration here, or the reason why it has none."""

import math
from collections.abc import Callable, Mapping
from typing import Any

from rollouts.async_webgym.settings import LONGEST_STEP_S, LONGEST_WAIT_S, MOST_ATTEMPTS, POOLS, horizon_of

MOST_SLOTS = 256
"""Browser sessions of one service (`services.browser_slots`)."""
Ours = dict[str, Any]
"""Settings here by dotted key. Example: `{"rollout.concurrency": 64}`."""
Rule = Callable[[Any], Ours]
"""The equal of a value. Raises ValueError for a value that WebGym does not know either."""


def number(value: object, least: float, most: float = math.inf) -> float:
    """A number within bounds; a larger one becomes the largest. Raises ValueError."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or value < least:
        raise ValueError(f"expected a number of at least {least:g}, found {str(value)[:60]!r}")
    return min(value, most)


def whole(value: object, least: int, most: float = math.inf) -> int:
    """A whole number within bounds, as `number`."""
    found = number(value, least, most)
    if found != int(found):
        raise ValueError(f"expected a whole number, found {value}")
    return int(found)


def text(value: object) -> str:
    """A text. Raises ValueError."""
    if not isinstance(value, str) or not value.isprintable():
        raise ValueError(f"expected a text, found {str(value)[:60]!r}")
    return value


def _to(key: str, read: Callable[[Any], Any] = lambda value: value) -> Rule:
    return lambda value: {key: read(value)}


def _one_of(key: str, names: Mapping[str, Any]) -> Rule:
    def rule(value: object) -> Ours:
        if value not in names:
            raise ValueError(f"expected one of {', '.join(names)}, found {str(value)[:60]!r}")
        return {key: names[str(value)]}

    return rule


def _prompt(value: object) -> Ours:
    if value not in ("complete", "vanilla"):
        raise ValueError(f"expected vanilla or complete, found {str(value)[:60]!r}")
    return {"agent.prompt": "full", "agent.memory": value == "complete"}


def _slots(value: object) -> Ours:
    slots = whole(value, 1, MOST_SLOTS)
    return {"rollout.concurrency": slots, "services.browser_slots": slots}


def _groups(value: object) -> Ours:
    # WebGym plays a task once in an iteration: a group of one. Its split for evaluation has 0 here.
    return {"rollout.groups_per_iteration": size, "rollout.group_size": 1} if (size := whole(value, 0)) else {}


def _evaluated(value: object) -> Ours:
    return {"evaluate.tasks": int(number(value, -1))} if number(value, -1) > 0 else {}


def _repeats(value: object) -> Ours:
    return {"evaluate.samples": times} if (times := whole(value, 0)) else {}


def _horizon(side: str) -> Rule:
    return lambda value: {f"environment.horizon.{side}": found} if (found := horizon_of(value, "steps")) else {}


def _sampler(value: object) -> Ours:
    if value not in ("uniform", "ratio"):
        raise ValueError(f"expected uniform or ratio, found {str(value)[:60]!r}")
    return {"environment.sampler.kind": value} | ({"environment.sampler.by": "difficulty"} if value == "ratio" else {})


def _ratio(value: object) -> Ours:
    """`{easy: {range: [1, 3], weight: 2}, ..}` -> weights by band; a range without an end is open."""
    if not isinstance(value, Mapping) or not value:
        raise ValueError(f"expected names with range and weight, found {str(value)[:60]!r}")
    weights: dict[str, float] = {}
    for band in value.values():
        match band:
            case {"range": [first, last], "weight": weight}:
                end = "" if last is None or (isinstance(last, float) and math.isinf(last)) else str(whole(last, 1))
                weights[f"{whole(first, 1)}-{end}"] = number(weight, 0)
            case _:
                raise ValueError(f"expected range: [first, last] and weight, found {str(band)[:60]!r}")
    return {"environment.sampler.weights": weights}


def _weights(value: object) -> Ours:
    if not isinstance(value, list | tuple) or not value:
        raise ValueError(f"expected a list of weights, found {str(value)[:60]!r}")
    return {"rollout.rank_load_weight": [number(one, 1e-9) for one in value], "rollout.shards": len(value)}


def _minutes(value: object) -> Ours:
    return {"agent.episode_deadline_s": 60.0 * number(value, 1e-3)}


def _retries(value: object) -> Ours:
    return {"rollout.max_attempts": 1 + whole(value, 0, MOST_ATTEMPTS - 1)}


def _pool(kind: str) -> Rule:
    return lambda value: {f"rollout.limits.{kind}": size} if (size := whole(value, 0)) else {}


RULES: dict[str, Rule] = {
    "model_config.model_type": _one_of("agent.profile", {name: name for name in ("qwen3-instruct", "qwen3-think")}),
    "model_config.prompt_version": _prompt,
    "policy_config.base_model": _to("policy.model", text),
    "policy_config.max_new_tokens": _to("agent.max_tokens", lambda value: whole(value, 1)),
    "policy_config.temperature": _to("agent.temperature", lambda value: number(value, 1e-6)),
    "context_config.interaction_mode": _one_of(
        "agent.interaction_mode", {name: name for name in ("coordinates", "set_of_marks")}
    ),
    "save_path": _to("runs_dir", text),
    "env_config.server_size": _slots,
    "env_config.max_vllm_sessions": _to("rollout.limits.model", lambda value: whole(value, 1)),
    "env_config.wait_timeout": _to("agent.lease_wait_s", lambda value: number(value, 0, LONGEST_WAIT_S)),
    "env_config.operation_timeout": _to("agent.step_deadline_s", lambda value: number(value, 1e-3, LONGEST_STEP_S)),
    "env_config.max_retries": _retries,
    "env_config.vllm_timeout": _to("agent.completion_deadline_s", lambda value: number(value, 1e-3)),
    "env_config.evaluation_workers": _to("judge.model.concurrency", lambda value: whole(value, 1, 1_024)),
    "env_config.task_timeout_minutes": _minutes,
    "env_config.completion_threshold": _to("rollout.completion_threshold", lambda value: number(value, 1e-6, 1.0)),
    "env_config.completion_grace_period": _to("rollout.completion_grace_period", lambda value: number(value, 0)),
    "env_config.train_difficulty_max_steps": _horizon("by_difficulty"),
    "env_config.test_difficulty_max_steps": _horizon("heldout_by_difficulty"),
    "env_config.train_tasks_rollout_size": _groups,
    "env_config.test_tasks_rollout_size": _evaluated,
    "env_config.test_tasks_repeat_times": _repeats,
    "env_config.train_tasks_sampler": _sampler,
    "env_config.difficulty_ratio": _ratio,
    "env_config.rank_load_weight": _weights,
    "algorithm_config.positive_samples_to_train": _to("update.replay_samples", lambda value: whole(value, 1)),
    "algorithm_config.recency_bias_power": _to("update.replay_recency", lambda value: number(value, 0)),
    "algorithm_config.cutoff_len": _to("serving.max_model_len", lambda value: whole(value, 64)),
    "algorithm_config.per_device_train_batch_size": _to("update.micro_batch_size", lambda value: whole(value, 1)),
    "algorithm_config.learning_rate": _to("update.learning_rate", lambda value: number(float(value), 1e-12)),
    "algorithm_config.max_grad_norm": _to("update.max_grad_norm", lambda value: number(value, 1e-9)),
    "algorithm_config.weight_decay": _to("update.weight_decay", lambda value: number(value, 0)),
    "algorithm_config.num_train_epochs": _to("update.epochs", lambda value: whole(value, 1)),
    "algorithm_config.warmup_steps": _to("update.warmup_steps", lambda value: whole(value, 0)),
    "algorithm_config.gradient_checkpointing": _to("update.gradient_checkpointing", bool),
    "algorithm_config.bf16": _to("update.dtype", lambda value: "bfloat16" if value else "float32"),
    "algorithm_config.save_only_model": _to("update.carry_optimizer", lambda value: not value),
    "log_config.run_name": _to("name", text),
} | {f"env_config.http_pools.{theirs}": _pool(ours) for theirs, ours in POOLS.items()}
"""Keys of WebGym with an equal here. The files of tasks and the judge's model are in `configuration.py`."""

EVERY_EPISODE = "every episode is stored as soon as it ends"
BOUNDED = "a call here returns it beside the picture"
NO_WANDB = "metrics go to MLflow"
TRAINER = "a setting of LLaMA-Factory; TRL's trainer needs none"
WHOLE_SOFTMAX = "training rollouts sample from the whole softmax, which the update assumes"
NO_EQUAL: dict[str, str] = {
    "policy_config.checkpoint_path": "every version of the policy is kept in the run's folder `policies`",
    "policy_config.huggingface_token_env_var": "nothing is downloaded; policy.model is a folder",
    "policy_config.top_p": WHOLE_SOFTMAX,
    "policy_config.top_k": WHOLE_SOFTMAX,
    "policy_config.min_p": WHOLE_SOFTMAX,
    "env_config.verbose": "the log has one line for each event",
    "env_config.use_rich_actree": "the page's elements are always listed in the same form",
    "env_config.screenshot_comparison_workers": "pictures are compared by their hashes",
    "env_config.instance_lifetime_max": "a lease is renewed as long as its episode lives",
    "env_config.cpu_cluster_token_env_var": "the key of the browser service is in BROWSER_SERVICE_API_KEY",
    "env_config.vllm_server_url": "`rl-loop up` starts vLLM; services.models names one elsewhere",
    "vllm_server_url": "`rl-loop up` starts vLLM; services.models names one elsewhere",
    "env_config.split": "a loop plays both splits",
    "env_config.save_traj_progress": EVERY_EPISODE,
    "env_config.save_every_percent": EVERY_EPISODE,
    "env_config.http_pools.metadata": BOUNDED,
    "env_config.http_pools.page_metadata": BOUNDED,
    "env_config.deduplicate_across_iterations": "tasks of a file repeat only when all have been played",
    "openai_config.keypoint_detection": "the judge's own model chooses the pages, where there are many",
    "openai_config.blocking_detection": "pages that refuse the visit are found by rules (environment.blocking)",
    "log_config.wandb_key_env_var": NO_WANDB,
    "log_config.entity_name": NO_WANDB,
    "algorithm_config.model_output_name": "versions of the policy are numbered",
    "algorithm_config.gradient_accumulation_steps": "an epoch has update.minibatches steps",
    "algorithm_config.lr_scheduler_type": "the rate is constant after warmup_steps; update.decay_versions lets it fall",
    "algorithm_config.deepspeed_config_filename": "update.processes, sharding and lora divide the work (docs/training_at_scale.md)",
    "algorithm_config.report_to": NO_WANDB,
}
"""Keys of WebGym without an equal, and why."""
