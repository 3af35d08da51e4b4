"""WebGym's fields as nested columns of Parquet. Fields whose keys vary are JSON as text. Needs pyarrow."""

import json
from typing import Any

import pyarrow as pa

FACT = pa.struct([("description", pa.string()), ("difficulty", pa.int32())])
TASK = pa.struct(
    [
        ("task_id", pa.string()),
        ("task_name", pa.string()),
        ("domain", pa.string()),
        ("subdomain", pa.string()),
        ("website", pa.string()),
        ("difficulty", pa.int32()),
        ("evaluator_reference", pa.list_(FACT)),
        ("reference_answer", pa.string()),
        ("attempt_level", pa.int32()),
        ("max_steps", pa.int32()),
        ("trajectory_index", pa.int32()),
    ]
)
PAGE = pa.struct([("title", pa.string()), ("url", pa.string())])
STEP = pa.struct(
    [
        (
            "observation",
            pa.struct([("task", TASK), ("image_path", pa.string()), ("ac_tree", pa.string()), ("page_metadata", PAGE)]),
        ),
        ("action", pa.struct([("key", pa.string()), ("arguments", pa.string()), ("action_string", pa.string())])),
        (
            "response",
            pa.struct([("raw_response", pa.string()), ("answering_tokens", pa.string()), ("raw_prompt", pa.string())]),
        ),
        (
            "reward",
            pa.struct(
                [
                    ("reward", pa.float64()),
                    ("evaluation", pa.string()),
                    ("is_blocked", pa.bool_()),
                    ("submit", pa.bool_()),
                    ("submission_judgment", pa.string()),
                ]
            ),
        ),
        ("same_as_next_screenshot", pa.bool_()),
        ("error_type", pa.string()),
        ("error_message", pa.string()),
    ]
)


def schema() -> pa.Schema:
    """The columns of a file: the steps of a trajectory, and its metadata as JSON."""
    return pa.schema([("trajectory", pa.list_(STEP)), ("metadata", pa.string())])


def flat_record(record: dict[str, Any]) -> dict[str, Any]:
    """A record of JSON as a row with this schema."""
    return {"trajectory": [_step(step) for step in record["trajectory"]], "metadata": json.dumps(record["metadata"])}


def _step(step: dict[str, Any]) -> dict[str, Any]:
    seen, done, said = step["observation"], step["action"], step["response"]
    action = done["action"] or {}
    arguments = json.dumps(action["arguments"], ensure_ascii=False) if action else None
    return step | {
        "observation": seen | {"task": seen["task"] | {"task_id": str(seen["task"]["task_id"])}},
        "action": {"key": action.get("key"), "arguments": arguments, "action_string": done["action_string"]},
        "response": said | {"answering_tokens": json.dumps(said["answering_tokens"], ensure_ascii=False)},
    }
