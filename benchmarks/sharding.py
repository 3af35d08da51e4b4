"""Memory of an update's processes with whole weights in each, and with the weights shared between them (`update.sharding`).

    python -m benchmarks.sharding [--hidden 768] [--layers 8] [--processes 2 4]

Prints the peak memory of the first process, which also writes the version, for a random policy of the given size. The part of the
libraries and of a batch is measured with a policy of next to no weights and subtracted for the last column. Steps of text and one small
picture each; gloo on CPUs.
"""

import argparse
import asyncio
import json
import shutil
import sys
import tempfile
from pathlib import Path

from benchmarks.update import CONFIG, DEADLINE_S, Shape, workload
from flows.policy.update_process import run_update_process
from flows.stages.policy_update import start_of_command
from training.config import UpdateConfig
from training.learning.report import read_report
from training.learning.update_inputs import Request
from training.tiny_policy import Size, build

STEPS = 4
TEXTS = ["click the button ok", "Task: click cancel", "[1] button ok [2] link more"] * 4
NOTHING = Size(hidden=48, layers=1, heads=2, vision_hidden=32, vision_layers=1, vocabulary=320)


def main() -> int:
    """Prints a row per way to hold the weights; returns 1 if sharing them between two saves nothing."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--hidden", type=int, default=768)
    parser.add_argument("--layers", type=int, default=8)
    parser.add_argument("--processes", type=int, nargs="+", default=[2, 4])
    options = parser.parse_args()
    size = NOTHING._replace(hidden=options.hidden, layers=options.layers, heads=options.hidden // 64)
    with tempfile.TemporaryDirectory(prefix="rl-loop-sharding-") as scratch:
        empty, _ = prepared(Path(scratch) / "nothing", NOTHING)
        base = peak_bytes(empty, UpdateConfig())
        request, parameters = prepared(Path(scratch) / "policy", size)
        states = 16 * parameters  # weights, gradients and two moments in float32
        print(f"{parameters / 1e6:.0f} million weights: {states / 1e6:.0f} MB with gradients and moments", flush=True)
        print(f"without them: {base / 1e6:.0f} MB", flush=True)
        shares: dict[tuple[int, str], float] = {}
        for processes, sharding in [(1, "none"), *((n, way) for n in options.processes for way in ("none", "fsdp2"))]:
            config = UpdateConfig.model_validate({"processes": processes, "sharding": sharding})
            peak = peak_bytes(request, config)
            shares[processes, sharding] = (peak - base) / states
            print(
                f"{processes} processes, sharding {sharding}: {peak / 1e6:.0f} MB, {shares[processes, sharding]:.2f} of the states",
                flush=True,
            )
    fewest = options.processes[0]
    return int(shares[fewest, "fsdp2"] >= shares[fewest, "none"])


def prepared(folder: Path, size: Size) -> tuple[Request, int]:
    """An update of a random policy, and its number of weights."""
    parameters = build(folder / "model", texts=TEXTS, size=size)
    config = CONFIG | {"micro_batch_size": 1, "minibatches": 2, "epochs": 1, "learning_rate": 1e-5}
    return workload(folder, folder / "model", Shape(STEPS, 160, 192), config), parameters


def peak_bytes(request: Request, config: UpdateConfig) -> int:
    """Peak memory of the first process of one update. Raises RuntimeError when it fails."""
    shutil.rmtree(request.policies / "v0001", ignore_errors=True)
    settings = json.loads(request.config.read_text())
    settings |= {"processes": config.processes, "sharding": config.sharding}
    request.config.write_text(json.dumps(settings))
    log = request.report.with_suffix(".log")
    stated = {name: value for name, value in request._asdict().items() if name != "replay"}
    arguments = [part for name, value in stated.items() for part in (f"--{name}", str(value))]
    status = asyncio.run(run_update_process([*start_of_command(config), *arguments], log, deadline_s=DEADLINE_S))
    if status != 0:
        raise RuntimeError(f"the update ended with status {status}: {log.read_text()[-400:]}")
    return read_report(request.report).peak_memory_bytes


if __name__ == "__main__":
    sys.exit(main())
