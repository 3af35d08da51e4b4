"""The samples under other policies, before the first step: trainer against server, and the reference of the KL term.

Other policies are loaded, scored and freed before the trained one is loaded (`reference`).
"""

import logging
from collections.abc import Sequence
from typing import NamedTuple

from training.learning.models import LoadedPolicy
from training.learning.scoring.gap import ByStep, Gap, measure_gap
from training.learning.scoring.own_version import own_scores
from training.learning.scoring.reference import first_policy_scores
from training.learning.scoring.scored import Scored
from training.learning.scoring.token_scores import computes_in_bf16, stored_scores
from training.learning.update_inputs import Batch, Request
from training.sampling.picture_checks import FeatureCounter, without_faulty
from training.sampling.sample_checks import BadStep
from training.sampling.samples import Sample
from training.stopwatch import Stopwatch

log = logging.getLogger("training.learning.update")


class Others(NamedTuple):
    """Scores under policies that are no longer in memory."""

    reference: ByStep | None
    """Of all samples under the run's first policy, if the loss has a KL term to it and the parent is another one."""
    own: ByStep | None
    """Of some samples under the version that sampled them, if the parent sampled none."""


def score_under_others(request: Request, batch: Batch, watch: Stopwatch) -> Others:
    """Loads other policies than the trained one, as far as they are needed. Raises BadInput without a sound version 0."""

    def fit(policy: LoadedPolicy, samples: Sequence[Sample]) -> list[Sample]:
        return that_fit(batch, policy, samples)[0]

    config, parent, reference = batch.config, batch.parent, None
    if config.kl_coefficient and config.kl_reference != "parent" and parent.version:
        with watch.phase("reference"):
            reference = first_policy_scores(request.policies, batch.samples, batch.store, config, fit=fit)
    with watch.phase("own_version"):
        own = own_scores(request.policies, batch.samples, batch.store, config, parent=parent.version, fit=fit)
    return Others(reference, own)


def compare(batch: Batch, policy: LoadedPolicy, others: Others) -> tuple[list[Sample], Scored, Gap]:
    """Scores all samples under the parent, and keeps those of trajectories on which trainer and server agree.

    Raises BadInput when too many disagree.
    """
    config, parent = batch.config, batch.parent
    scores = stored_scores(policy, batch.samples, batch.store.image, config)
    in_bf16 = computes_in_bf16(policy, config)
    gap = measure_gap(batch.samples, scores, config, version=parent.version, in_bf16=in_bf16, own=others.own)
    if not gap.judged_tokens:
        log.warning("version %d: no token could be compared between trainer and server", batch.version)
    kept = [row for row, sample in enumerate(batch.samples) if sample.trajectory_id not in gap.disagreeing]
    samples, now = [batch.samples[row] for row in kept], [scores[row] for row in kept]
    reference = others.reference
    known = now if reference is None else [reference[one.trajectory_id, one.step] for one in samples]
    scored = Scored(
        parent.version,
        proximal=now if config.proximal_policy == "recomputed" else None,
        reference=known if config.kl_coefficient else None,
    )
    return samples, scored, gap


def that_fit(batch: Batch, policy: LoadedPolicy, samples: Sequence[Sample]) -> tuple[list[Sample], list[BadStep]]:
    """Splits off samples whose number of placeholders differs from the policy's features of their pictures."""
    if policy.image_token_id is None:
        return list(samples), []
    counter = FeatureCounter(policy.processor.image_processor, policy.image_token_id, batch.pictures)
    return without_faulty(samples, counter.fault_of)
