"""Log-probabilities of the samples under other policies than the trained one, computed before the first step."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from training.sampling.samples import Sample

Rows = Sequence[NDArray[np.float32]]


class Scored(NamedTuple):
    """Scores of all samples of an update, an array (T,) per sample in their order."""

    version: int
    """The parent's version, from which ages are counted."""
    proximal: Rows | None = None
    """Under the parent."""
    reference: Rows | None = None
    """Under the reference of the KL term."""

    def columns(self, rows: Sequence[int], device: torch.device) -> dict[str, Tensor]:
        """The scores of some samples, each (B, T) right-padded with 0."""
        known = {"proximal": self.proximal, "reference": self.reference}
        return {
            name: torch.nn.utils.rnn.pad_sequence([torch.from_numpy(scores[row]) for row in rows], batch_first=True).to(
                device
            )
            for name, scores in known.items()
            if scores is not None
        }

    def lags(self, samples: Sequence[Sample], device: torch.device) -> Tensor:
        """(B,) age of samples in versions."""
        ages = [max(0, self.version - sample.policy_version) for sample in samples]
        return torch.tensor(ages, dtype=torch.float32, device=device)
