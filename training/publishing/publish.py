"""Publishing as a transaction: the new policy is served and proved, or the earlier one is served and proved again.

    read and check files ── mark unproved -> pause -> reload -> clear 3 caches -> compare digests -> resume -> re-score -> set version
      │ invalid: untouched      │ anything fails, or takes longer than serving.publish_deadline_s
      ▼                         ▼
    PublishError           the same with the earlier checkpoint, within serving.rollback_deadline_s
                                │ proved                          │ fails too
                                ▼                                 ▼
                           PublishError, old policy serves   PolicyLost: the caller restarts vLLM

The version is written last and names only weights that are proved; a caller that finds another version takes no tokens.
A publisher that is killed or cancelled leaves the version `unproved`, paused or not: the next publish repairs that.
"""

import asyncio
import time
from pathlib import Path
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict

from training import failpoints
from training.checkpointing.weight_digests import read_shapes, read_weights
from training.errors import CheckpointError
from training.publishing.prepared_policy import Prepared, check_shapes, manifest_digest, prepare
from training.publishing.proof import answers_of, prove_answers, prove_bytes, same_answers
from training.publishing.served_record import ServedRecord, read_record, write_record
from training.publishing.serving import UNPROVED, PolicyServer, PublishError, ServerHangs, ServerUnavailable
from training.publishing.transfer.transfer import Sent, base_of, transfer
from training.serving_config import SPARSE, ServingConfig


class PolicyLost(PublishError):
    """Neither the new policy nor the earlier one could be proved; no policy is served until vLLM is restarted."""


class PublishReport(BaseModel):
    """The proof of a publish."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    version: str
    model: str
    tensors: int
    """Parameters on the server."""
    tensors_opaque: int
    """Number of parameters that can't be compared because the server packs them; only the canaries check these."""
    tensors_matched: int
    """Number of parameters that equal the checkpoint's byte for byte."""
    tensors_changed: int
    """Number of parameters that differ from before the reload."""
    canary_gap: float | None = None
    """Mean absolute difference to the trainer's log-probabilities, in nats; None without canaries."""
    canary_separation: float | None = None
    """Mean absolute difference between new and parent's weights, by the trainer; None when the parent's scores are not
    known."""
    canary_position: float | None = None
    """Position of the server's answers between the parent's (0) and the new weights' (1)."""
    discriminates: bool = False
    """True if the canaries distinguish the new weights from the parent's; otherwise only the digests do."""
    canary_skipped: str = ""
    """Reason why the canaries were not compared."""
    bytes_sent: int | None = None
    """Bytes of the weights that were sent; None: the server read them from disk."""
    seconds: dict[str, float]
    """Per phase: pause, reload, caches, digests, resume, canary, total."""


class _Before(NamedTuple):
    """State of the server at the start of the publish."""

    model: str
    earlier: ServedRecord | None
    """The policy to roll back to; None when there is no other one."""
    sound: bool
    """True if no publish was interrupted before."""
    holds: ServedRecord | None
    """The policy that is proved to be on the server."""
    digests: dict[str, str]
    answers: list[float]
    """Scores of the new policy's canaries under the earlier weights; empty when the earlier weights are not proved."""


async def publish(server: PolicyServer, wanted: Prepared, config: ServingConfig) -> PublishReport:
    """Makes the server serve a policy, and proves it. Can be repeated at any time, whatever state an earlier publish
    left.

    Raises `PublishError` when it fails and the server is untouched or serves the earlier policy again, `PolicyLost`
    when neither is served, `ServerUnavailable` when the server goes away.
    """
    try:
        async with asyncio.timeout(config.publish_deadline_s):
            before = await _look(server, wanted, config)
    except (ServerHangs, TimeoutError) as error:
        raise PolicyLost(
            f"the vLLM server at {server.uds} does not answer, so nothing was begun", inherited=True
        ) from error
    try:
        async with asyncio.timeout(config.publish_deadline_s):
            return await _install(server, wanted, config, before)
    except TimeoutError:
        failure = f"it was not proved within {config.publish_deadline_s:g} s (serving.publish_deadline_s)"
    except PublishError as error:
        failure = str(error)
    if before.earlier is None:
        raise PolicyLost(f"{failure}; there is no earlier policy to go back to", inherited=not before.sound)
    try:
        async with asyncio.timeout(config.rollback_deadline_s):
            await _roll_back(server, wanted, config, before, before.earlier)
    except (PublishError, CheckpointError, ServerUnavailable, TimeoutError) as error:
        why = str(error) or f"not within {config.rollback_deadline_s:g} s (serving.rollback_deadline_s)"
        raise PolicyLost(
            f"{failure}; and {before.earlier.version} could not be served again: {why}", inherited=not before.sound
        ) from error
    raise PublishError(f"{failure}; {before.earlier.version} is served again", inherited=not before.sound)


async def prepare_earlier(record: ServedRecord) -> Prepared:
    """Reads the policy of a record again. Raises `CheckpointError` when it is missing or has changed."""
    earlier = await asyncio.to_thread(prepare, record.checkpoint, record.version, pictures=record.pictures)
    if earlier.manifest_sha256 != record.manifest_sha256:
        raise CheckpointError(f"{record.checkpoint} is no longer the policy that was served as {record.version}")
    return earlier


async def _look(server: PolicyServer, wanted: Prepared, config: ServingConfig) -> _Before:
    """Determines the policy to roll back to; rejects a policy that can't work while the server is still untouched."""
    served = await server.served()
    record = await asyncio.to_thread(read_record, server.uds)
    sound = not served.version.startswith(UNPROVED) and not await server.is_paused()
    # A record of another process may be of another model: services that were started anew hold what they were started with.
    holds = _first_folder(record.checkpoint if record and record.model == served.model else None, served.root)
    if holds:
        shapes = await asyncio.to_thread(read_shapes, holds)
        await asyncio.to_thread(check_shapes, wanted, holds, shapes)
    digests: dict[str, str] = {}
    answers: list[float] = []
    proved = record if record and sound and (record.model, record.version) == (served.model, served.version) else None
    if proved:
        digests, answers = proved.digests, await answers_of(server, served.model, wanted)
    elif sound:
        digests = await server.digests()
    if digests and holds and config.weight_check == "changed" and await _same_weights(holds, record, wanted):
        digests = {}  # the same weights under another name: no tensor has to change
    other = record is not None and record.manifest_sha256 != wanted.manifest_sha256
    return _Before(served.model, record if other else None, sound, proved, digests, answers)


def _first_folder(*folders: Path | str | None) -> Path | None:
    """Returns the first folder that still exists: all policies that a server held have the same shapes."""
    return next((Path(folder) for folder in folders if folder and Path(folder).is_dir()), None)


async def _same_weights(folder: Path, record: ServedRecord | None, wanted: Prepared) -> bool:
    if record and record.checkpoint == folder and await asyncio.to_thread(_is_another, record):
        return False  # the folder was made again since, and does not tell what the server holds
    return (await asyncio.to_thread(read_weights, folder)).digests == wanted.weights.digests


def _is_another(record: ServedRecord) -> bool:
    try:
        return manifest_digest(record.checkpoint) != record.manifest_sha256
    except CheckpointError:
        return True


async def _install(server: PolicyServer, wanted: Prepared, config: ServingConfig, before: _Before) -> PublishReport:
    clock = _Clock()
    await server.mark(UNPROVED + wanted.version)
    await server.pause("wait" if before.sound else "abort")
    clock.lap("pause")
    failpoints.reach("publish.before_reload")
    sent = await _load(server, wanted, config, before)
    clock.lap("reload")
    failpoints.reach("publish.after_reload")
    await server.clear_caches()
    clock.lap("caches")
    digests = await server.digests()
    found = prove_bytes(wanted, config, before.digests, digests)
    clock.lap("digests")
    await server.resume()
    clock.lap("resume")
    compared = prove_answers(wanted, config, await answers_of(server, before.model, wanted))
    clock.lap("canary")
    await _name(server, wanted, before.model, digests, sent=sent is not None and config.transfer_deltas)
    return PublishReport(
        version=wanted.version,
        model=before.model,
        tensors=len(digests),
        tensors_opaque=found.opaque,
        tensors_matched=found.matched,
        tensors_changed=found.changed,
        canary_gap=compared.gap if compared else None,
        canary_separation=compared.separation if compared else None,
        canary_position=compared.position if compared else None,
        discriminates=compared.discriminates if compared else False,
        canary_skipped=wanted.canary_skipped,
        bytes_sent=sent.bytes if sent else None,
        seconds=clock.laps | {"total": clock.total()},
    )


async def _load(server: PolicyServer, wanted: Prepared, config: ServingConfig, before: _Before) -> Sent | None:
    """Brings the weights to the server in the configured way; None: it has read them from disk, as after any fault."""
    if not before.sound:
        # An interrupted reload leaves tensors that the next reload takes for its own; the reload after that is clean.
        await server.reload(wanted.path)
    base = await asyncio.to_thread(base_of, config, wanted, before.holds)
    # vLLM's `sparse_nccl` can only patch: what is not known to be there is read from disk.
    if not before.sound or config.transfer == "disk" or (config.transfer_backend == SPARSE and base is None):
        await server.reload(wanted.path)
        return None
    return await transfer(server.uds, wanted, config, base)


async def _roll_back(
    server: PolicyServer, wanted: Prepared, config: ServingConfig, before: _Before, record: ServedRecord
) -> None:
    """Serves the earlier policy again. Sets its version again when bytes and answers equal those before the publish."""
    earlier = await prepare_earlier(record)
    await server.mark(UNPROVED + record.version)
    await server.pause("abort")  # running requests began under weights that are not proved
    for _ in range(2):
        await server.reload(earlier.path)
    await server.clear_caches()
    digests = await server.digests()
    prove_bytes(earlier, config, {}, digests)
    if record.model == before.model and digests != record.digests:
        raise PublishError(f"its tensors on the server are not those that were proved as {record.version}")
    await server.resume()
    prove_answers(earlier, config, await answers_of(server, before.model, earlier))
    if before.answers:
        again = await answers_of(server, before.model, wanted)
        if not same_answers(earlier, config, before.answers, again):
            raise PublishError("the server does not answer as it did before")
    await _name(server, earlier, before.model, digests)


async def _name(
    server: PolicyServer, proved: Prepared, model: str, digests: dict[str, str], *, sent: bool = False
) -> None:
    """Writes the record, then sets the version: a publisher killed in between leaves the version `unproved`."""
    record = ServedRecord(
        model=model,
        version=proved.version,
        checkpoint=proved.path,
        manifest_sha256=proved.manifest_sha256,
        pictures=proved.pictures,
        digests=digests,
        sent=sent,
    )
    if record != await asyncio.to_thread(read_record, server.uds):
        try:
            await asyncio.to_thread(write_record, server.uds, record)
        except OSError as error:
            raise PublishError(f"the record beside {server.uds} can't be written: {error}") from error
    await server.mark(proved.version)


class _Clock:
    def __init__(self) -> None:
        self._start = self._last = time.monotonic()
        self.laps: dict[str, float] = {}

    def lap(self, name: str) -> None:
        now = time.monotonic()
        self.laps[name], self._last = now - self._last, now

    def total(self) -> float:
        return time.monotonic() - self._start
