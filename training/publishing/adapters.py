"""Publishing an adapter (LoRA): it is loaded beside the base weights under a name of its own, and named when it is proved.

    base weights are version 0's? ── mark unproved -> load adapter -> score canaries under its name -> record -> set version
      │ no: untouched                  │ anything fails, or takes longer than serving.publish_deadline_s
      ▼                                ▼
    PublishError                 unload it; the earlier adapter never went away: score its canaries, set its version

Nothing is paused and no cache is cleared: vLLM keeps prefixes apart by an adapter's name and path, and an adapter has no part in the
vision tower. So the name says which adapter it is, and not only which version: `adapter_name`.
The base weights are those that the server was started with, and are never reloaded; version 0 is them. After a restart no adapter
is loaded, and a request for one is refused.
"""

import asyncio
import time

from training.checkpointing.weight_digests import Weights
from training.errors import CheckpointError
from training.publishing.prepared_policy import Prepared
from training.publishing.proof import Bytes, answers_of, prove_answers, prove_bytes
from training.publishing.publish import PolicyLost, PublishReport, prepare_earlier
from training.publishing.served_record import ServedRecord, read_record, write_record
from training.publishing.serving import UNPROVED, PolicyServer, PublishError, ServerHangs, ServerUnavailable
from training.serving_config import ServingConfig

FOLDER = "adapter"
"""Folder of a checkpoint with its adapter, in peft's format."""


def adapter_name(model: str, wanted: Prepared) -> str:
    """The name that requests ask for an adapter by. Example: `policy-7f3a@demo:3-9f86d081`.

    With the checkpoint's digest in it no two adapters have one name. Another run called `demo` has its version 3 at the same path, and
    vLLM would take the prefixes that it has cached for the earlier one. The canaries could not tell: for prompt log-probabilities vLLM
    reads no cached prefix.
    """
    return f"{model}@{wanted.version}-{wanted.manifest_sha256[:8]}"


async def publish_adapter(
    server: PolicyServer, wanted: Prepared, base: Weights, config: ServingConfig
) -> PublishReport:
    """Makes the server serve a policy as an adapter over the weights `base`, and proves it. Can be repeated.

    Raises `PublishError` when it fails and the earlier policy is served, `PolicyLost` when none is, `ServerUnavailable`
    when the server goes away.
    """
    try:
        async with asyncio.timeout(config.publish_deadline_s):
            model = (await server.served()).model
            record = await asyncio.to_thread(read_record, server.uds)
    except (ServerHangs, TimeoutError) as error:
        raise PolicyLost(
            f"the vLLM server at {server.uds} does not answer, so nothing was begun", inherited=True
        ) from error
    # Another process holds none of the adapters that were loaded into the one before.
    earlier = record if record and record.model == model and record.version != wanted.version else None
    has_adapter = await asyncio.to_thread((wanted.path / FOLDER).is_dir)
    name = adapter_name(model, wanted) if has_adapter else model
    try:
        async with asyncio.timeout(config.publish_deadline_s):
            return await _install(server, wanted, base, config, model, name, earlier)
    except TimeoutError:
        failure = f"it was not proved within {config.publish_deadline_s:g} s (serving.publish_deadline_s)"
    except PublishError as error:
        failure = str(error)
    if earlier is None:
        raise PolicyLost(f"{failure}; there is no earlier policy to go back to")
    try:
        async with asyncio.timeout(config.rollback_deadline_s):
            await _roll_back(server, config, name, earlier)
    except (PublishError, CheckpointError, ServerUnavailable, TimeoutError) as error:
        why = str(error) or f"not within {config.rollback_deadline_s:g} s (serving.rollback_deadline_s)"
        raise PolicyLost(f"{failure}; and {earlier.version} could not be served again: {why}") from error
    raise PublishError(f"{failure}; {earlier.version} is served again")


async def _install(
    server: PolicyServer,
    wanted: Prepared,
    base: Weights,
    config: ServingConfig,
    model: str,
    name: str,
    earlier: ServedRecord | None,
) -> PublishReport:
    began = time.monotonic()
    if not wanted.probes and name != model:
        raise PublishError(f"{wanted.path} has no canary that can be scored, and an adapter has no other proof")
    digests = await server.digests()
    found = _prove_base(wanted, base, config, digests)
    await server.mark(UNPROVED + wanted.version)
    if name != model and name not in await server.models():  # what has this name already is this adapter
        await server.load_adapter(name, wanted.path / FOLDER)
    read = time.monotonic()
    compared = prove_answers(wanted, config, await answers_of(server, name, wanted))
    record = ServedRecord(
        model=model,
        version=wanted.version,
        checkpoint=wanted.path,
        manifest_sha256=wanted.manifest_sha256,
        pictures=wanted.pictures,
        digests=digests,
        adapter=None if name == model else name,
    )
    try:
        await asyncio.to_thread(write_record, server.uds, record)
    except OSError as error:
        raise PublishError(f"the record beside {server.uds} can't be written: {error}") from error
    await server.mark(wanted.version)
    kept = {model, name, earlier.adapter if earlier else None}
    for old in await server.models():
        if old not in kept:
            await server.unload_adapter(old)
    ended = time.monotonic()
    return PublishReport(
        version=wanted.version,
        model=name,
        tensors=len(digests),
        tensors_opaque=found.opaque,
        tensors_matched=found.matched,
        tensors_changed=0,
        canary_gap=compared.gap if compared else None,
        canary_separation=compared.separation if compared else None,
        canary_position=compared.position if compared else None,
        discriminates=compared.discriminates if compared else False,
        seconds={"reload": read - began, "canary": ended - read, "total": ended - began},
    )


def _prove_base(wanted: Prepared, base: Weights, config: ServingConfig, digests: dict[str, str]) -> Bytes:
    """Compares the server's weights with those that the adapter belongs to. Raises `PublishError` for others.

    With `weight_check: changed` bytes can't be compared; the canaries answer for base and adapter together then.
    """
    if config.weight_check == "changed":
        return Bytes(matched=0, opaque=len(digests), changed=0)
    try:
        found = prove_bytes(wanted._replace(weights=base), config, digests, digests)
        if not found.matched:
            raise PublishError("none of its tensors is one of them")
        return found
    except PublishError as error:
        raise PublishError(
            f"the server does not hold the weights that {wanted.path / FOLDER} belongs to: {error}"
        ) from error


async def _roll_back(server: PolicyServer, config: ServingConfig, name: str, record: ServedRecord) -> None:
    """Names the earlier policy again, which is still loaded, after its answers are proved once more."""
    earlier = await prepare_earlier(record)
    served = record.adapter or record.model
    loaded = await server.models()
    if name in loaded and name not in (record.model, served):
        await server.unload_adapter(name)
    if served not in loaded:
        raise PublishError(f"{served} is no longer loaded")
    prove_answers(earlier, config, await answers_of(server, served, earlier))
    await server.mark(record.version)
