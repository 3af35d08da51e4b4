"""Report of an update: one JSON file, written atomically, read by the flow.

Metrics, each an average over the sampled tokens of all passes unless noted otherwise:

    loss, grad_norm, learning_rate   means over optimiser steps; the learning rate of the last
    grad_norm_max                    the largest of an optimiser step, before clipping
    ratio                            pi / mu: the trained policy against the one that sampled
    kl                               estimate (k3) of KL(mu || pi)
    entropy                          of the policy at the sampled positions, in nats
    clip_low, clip_high              share of tokens whose ratio left the clip range, so that they have no gradient
                                     of a negative and of a positive advantage (cispo: whose weight is capped)
    guarded                          share of tokens masked, because the ratio left [1 / max_ratio, max_ratio]
    capped_positive, capped_negative share of tokens that `max_ratio` masked or capped, by the sign of their advantage
    kl_reference                     estimate of KL(pi || reference), with a KL term only
    lag_mean                         age of a token's policy in versions, when it was trained on
    gap_mean, gap_large              before the first step: mean |log pi - log mu|, and the share above 1. Both are 0 but
                                     for numerical error if trainer and server hold one policy. Over the tokens that
                                     the parent's own version sampled, without trajectories that are masked for it; where
                                     it sampled none, over some of an older version, scored under that version
    gap_max                          the largest of these gaps
    gap_tokens                       number of the tokens that could be compared so
    gap_stale                        mean |log pi - log mu| of tokens of older versions, where the policy itself has changed
    reward_mean, _std, _min, _max    the judges' reward over judged trajectories, without penalties
    advantage_mean, _std, _min, _max, _abs_mean, _positive (share)   over samples
    dropped_<reason>, excluded_<reason>   numbers of steps and of trajectories that were left out
    shaping_mean, shaping_format_mean, shaping_repetition_mean, shaping_length_mean
                                     their penalties (`training.sampling.shaping`)
    tokens_mean                      sampled tokens per sample
    tokens_per_second                tokens of prompts and answers through the model, per second of training
    mfu                              share of the GPUs' bfloat16 peak that the training phase used, in [0, 1], where the
                                     peak is known (`training.learning.speed`)
    gpu_peak_gb                      largest memory that tensors took on this process's GPU, in 1e9 bytes
"""

import math
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from storage.atomic import write_atomically
from storage.stages import Histogram
from training.errors import Diverged

FILE = "update.json"
"""Name of the copy inside the checkpoint; a repeated update writes its report again from it."""


class UpdateReport(BaseModel):
    """Outcome of one update. `checkpoint` is None when there was nothing to learn from; `skipped` has the reason."""

    # A report of another version of the program must not stop a resume: unknown fields are ignored.
    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)

    version: int
    """The requested version."""
    parent: int
    """The version that was trained from."""
    skipped: str | None = None
    reused: bool = False
    """True if the checkpoint existed, made from the same samples: nothing was trained now."""
    checkpoint: str | None = None
    """Directory of the checkpoint."""
    checkpoint_written_at: float | None = None
    """Time at which the checkpoint was complete, in seconds since 1970."""
    steps: int = 0
    """Optimiser steps of this update."""
    counts: dict[str, int] = {}
    """trajectories, judged, groups, groups_zero_signal, groups_too_small, groups_used, samples, tokens, bad_samples."""
    excluded: dict[str, int] = {}
    """Trajectories left out, by reason."""
    masked_steps: dict[str, int] = {}
    """Steps of used groups left out, by reason; reasons of faulty steps begin with `bad_`."""
    bad_samples: tuple[str, ...] = ()
    """The first faulty steps, each with trajectory, step and fault."""
    alarms: tuple[str, ...] = ()
    """Sentences of `training.learning.alarms`."""
    metrics: dict[str, float] = {}
    histograms: dict[str, Histogram] = {}
    """reward, of judged trajectories; advantage, of samples; gap and lag, of sampled tokens (nats, versions)."""
    seconds: dict[str, float] = {}
    """Seconds by phase: read, imports, load, train, score, write; and total."""
    peak_memory_bytes: int = 0
    """Largest resident size of the update process."""


def require_finite(report: UpdateReport) -> None:
    """Raises Diverged when a metric is not finite: JSON would store null, and the report could not be read."""
    if odd := sorted(name for name, value in report.metrics.items() if not math.isfinite(value)):
        raise Diverged(
            f"the update that makes version {report.version} diverged: {', '.join(odd)} not finite; nothing is written: lower "
            "update.learning_rate or look at the rewards"
        )


def write_report(report: UpdateReport, path: Path) -> None:
    """Replaces the file atomically, flushed to disk. Raises Diverged for numbers that are not finite."""
    require_finite(report)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, report.model_dump_json(indent=1).encode())


def read_report(path: Path) -> UpdateReport:
    """Reads a report. Raises ValueError with one sentence when it is missing or can't be read."""
    try:
        return UpdateReport.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        raise ValueError(f"{path} does not exist; the update wrote no report") from None
    except (ValidationError, OSError) as error:
        why = error.errors()[0]["msg"] if isinstance(error, ValidationError) else error
        raise ValueError(f"{path} is no update report: {why}") from error
