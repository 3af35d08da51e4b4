"""The version with the best held-out success: found by the reports, kept when others are pruned, exported by default."""

import json
import shutil
from pathlib import Path

import pytest
from conftest import RlLoop
from loop_configs import WriteConfig

from flows.settings.loop_config import load_config
from flows.settings.run_folder import RunFolder
from flows.stages.policy_update import best_version
from flows.starting.forking import fork
from storage.stages import Stage, StageReport
from training.checkpointing.checkpoints import checkpoint_path, import_policy, versions, write_checkpoint

WITHOUT_SIGNAL = 5
"""The iteration whose update made no version."""


def scored(write_config: WriteConfig, scores: dict[int, float]) -> RunFolder:
    """A run of ten finished iterations with held-out success after some of them, and all versions on the disk."""
    folder = RunFolder.create("source", load_config(write_config(), ["iterations=10", "evaluate.every=1"]))
    import_policy(folder.config.policy.model, folder.policies)
    for iteration in range(1, 11):
        if iteration != WITHOUT_SIGNAL:
            with write_checkpoint(folder.policies, iteration, parent=iteration - 1, step=iteration) as path:
                shutil.copytree(folder.config.policy.model, path, dirs_exist_ok=True)
    for key in folder.schedule():
        made = key.iteration - 1 if key.iteration == WITHOUT_SIGNAL else key.iteration
        is_score = key.stage is Stage.EVALUATE and key.iteration in scores
        folder.finish(
            StageReport(
                stage=key.stage,
                iteration=key.iteration,
                counts={"version": made} if key.stage is Stage.POLICY_UPDATE else {},
                metrics={"success_rate": scores[key.iteration]} if is_score else {},
                seconds=1,
            )
        )
    return folder


def forget(folder: RunFolder, *, but: set[int]) -> None:
    """Removes the other versions, as pruning does."""
    for version in set(versions(folder.policies)) - but:
        shutil.rmtree(checkpoint_path(folder.policies, version))


@pytest.mark.parametrize(
    ("scores", "there", "best"),
    [
        ({0: 0.1, 3: 0.7, 9: 0.9}, {0, 8, 9, 10}, [9]),
        ({0: 0.1, 3: 0.7, 8: 0.4}, {0, 8}, [8]),
        ({0: 0.5, 3: 0.7, 8: 0.4}, {0, 8}, [0]),
        ({0: 0.1, WITHOUT_SIGNAL: 0.8, 8: 0.4}, {0, 4, 8}, [4]),
        ({3: 0.7}, {0, 8}, []),
        ({}, {0, 8}, []),
    ],
)
def test_a_score_counts_for_the_version_that_was_measured(
    write_config: WriteConfig, scores: dict[int, float], there: set[int], best: list[int]
) -> None:
    folder = scored(write_config, scores)
    forget(folder, but=there)
    assert best_version(folder) == best


def test_a_fork_without_the_best_policy_of_its_source_exports_the_best_that_it_has(
    write_config: WriteConfig, rl_loop: RlLoop, tmp_path: Path
) -> None:
    """The score of version 3, which was pruned when version 9 was better, is not that of the untrained version 0."""
    source = scored(write_config, {0: 0.1, 3: 0.7, 8: 0.4, 9: 0.9})
    forget(source, but={0, 8, 9, 10})
    made = fork(source, 8, [], "forked")
    assert versions(made.policies) == [0, 8]

    done = rl_loop("export-policy", made.root, "--to", tmp_path / "best")

    assert (done.status, done.out) == (0, f"version 8 of forked is in {tmp_path / 'best'}\n"), done.err
    assert json.loads((tmp_path / "best" / "config.json").read_text()) == {"model_type": "none"}
    assert "# forked, version 8\n" in (tmp_path / "best" / "README.md").read_text()
    assert rl_loop("export-policy", source.root, "--to", tmp_path / "source").out.startswith("version 9 of source")
    assert rl_loop("export-policy", source.root, "--version", 0, "--to", tmp_path / "v0").out.startswith("version 0 ")


def test_a_run_that_was_never_evaluated_exports_its_newest_policy(
    write_config: WriteConfig, rl_loop: RlLoop, tmp_path: Path
) -> None:
    source = scored(write_config, {})
    assert rl_loop("export-policy", source.root, "--to", tmp_path / "out").out.startswith("version 10 of source")
