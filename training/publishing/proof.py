"""Proves that a server holds a checkpoint, by its bytes where they can be compared and by scores of canaries."""

from collections.abc import Sequence
from typing import NamedTuple

from training.checkpointing.weight_digests import OPAQUE
from training.publishing.canary_proof import Comparison, compare, mean_gap
from training.publishing.prepared_policy import Prepared
from training.publishing.serving import PolicyServer, PublishError
from training.serving_config import ServingConfig

FLOAT32_SHARE = 0.2
"""Share of `serving.canary_tolerance` that is allowed in float32: 0.02 nats by default, where 1e-6 was measured between vLLM
and the trainer. In bfloat16 pictures alone cost up to 0.05."""
REPEATED = 0.2
"""Share of the tolerance that two answers of one server with the same weights may differ by."""


class Bytes(NamedTuple):
    """Result of comparing the digests of the server's parameters."""

    matched: int
    """Parameters that equal the checkpoint's byte for byte."""
    opaque: int
    """Parameters that can't be compared, because the server packs them."""
    changed: int
    """Parameters that differ from before the reload."""


def prove_bytes(wanted: Prepared, config: ServingConfig, before: dict[str, str], after: dict[str, str]) -> Bytes:
    """Compares the server's digests with the checkpoint's. Raises `PublishError` when they belong to another policy."""
    matched = sum(digest in wanted.weights.digests for digest in after.values())
    opaque = sum(digest == OPAQUE for digest in after.values())
    changed = sum(before.get(name) != digest for name, digest in after.items())
    if config.weight_check == "exact" and matched + opaque != len(after):
        wrong = next(
            name for name, digest in sorted(after.items()) if digest not in wanted.weights.digests and digest != OPAQUE
        )
        raise PublishError(
            f"the server holds {matched} of {len(after) - opaque} comparable tensors of {wanted.path}, {wrong} is another "
            "one; check that serving.dtype is the checkpoint's, or set serving.weight_check=changed for sharded weights"
        )
    if config.weight_check == "changed" and before and changed == 0 and matched == 0:
        raise PublishError(f"no tensor on the server changed when {wanted.path} was loaded")
    if after and matched == 0 and changed == 0 and not wanted.probes:
        raise PublishError(f"no tensor of {wanted.path} can be compared with the server's, and it has no canary")
    return Bytes(matched, opaque, changed)


async def answers_of(server: PolicyServer, model: str, wanted: Prepared) -> list[float]:
    """The server's log-probabilities of all tokens of a policy's canaries, in one list."""
    answers: list[float] = []
    for completion, pictures in wanted.probes:
        prompt, tokens = completion.prompt_token_ids, completion.token_ids
        answers += await server.score(model, prompt, tokens, pictures, image_token=wanted.image_token)
    return answers


def prove_answers(wanted: Prepared, config: ServingConfig, served: Sequence[float]) -> Comparison | None:
    """Compares the server's answers with the trainer's, None without canaries. Raises `PublishError` when they differ."""
    if not wanted.probes:
        return None
    new = [logprob for probe in wanted.probes for logprob in probe.completion.logprobs]
    old = [logprob for probe in wanted.probes for logprob in probe.completion.parent_logprobs]
    found = compare(served, new, old)
    allowed = tolerance(wanted, config)
    if found.gap > allowed:
        raise PublishError(
            f"the server's log-probabilities of {len(wanted.probes)} stored completions differ from the trainer's by "
            f"{found.gap:.3f} nats on average, more than the {allowed:g} that serving.canary_tolerance allows"
        )
    # In a coarser precision than the checkpoint's a small step may be rounded away.
    if found.discriminates and not found.says_new and config.dtype in ("auto", wanted.dtype):
        raise PublishError(
            f"the server does not answer as the new weights do: its log-probabilities of {len(new)} stored "
            f"tokens lie at {found.position:.2f} between the earlier weights' (0) and those of {wanted.path} (1)"
        )
    return found


def same_answers(wanted: Prepared, config: ServingConfig, one: Sequence[float], other: Sequence[float]) -> bool:
    """True if two answers of a server agree with the same weights."""
    return not one or mean_gap(one, other) <= REPEATED * tolerance(wanted, config)


def tolerance(wanted: Prepared, config: ServingConfig) -> float:
    """Largest mean difference that is allowed in the served precision, in nats."""
    served = wanted.dtype if config.dtype == "auto" else config.dtype
    return config.canary_tolerance * (FLOAT32_SHARE if served == "float32" else 1.0)
