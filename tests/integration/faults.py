"""Faults of a running loop over three machines, drawn with a seed: `kill -9` of a part, or a cable pulled for a while."""

import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import psutil
from loop_on_machines import Cluster
from machines import Machine, line_of

PARTS: dict[str, tuple[int, tuple[str, ...]]] = {
    "flow": (1, ("prefect.engine",)),
    "worker": (1, ("worker start --pool rl-loop",)),
    "Prefect": (1, ("flows.services.prefect_server",)),
    "MLflow": (1, ("mlflow server",)),
    "browser service": (2, ("browser_service.cli", "--remote-debugging-pipe")),
    "Redis": (2, ("redis-server",)),
    "vLLM": (3, ("vllm.entrypoints.openai.api_server", "VLLM::EngineCore")),
    "update": (3, ("training.learning.update", "prefect.engine")),
}
"""The machine of each part that is killed, and words of the command lines of its processes."""
SHORTEST_CUT_S, LONGEST_CUT_S = 5.0, 60.0
PAUSE_S = (5.0, 40.0)
"""Seconds between two faults."""


@dataclass
class Faults:
    """The faults that are left, in a random order. The seed fixes which, in which order and after which pauses."""

    cluster: Cluster
    kills: int
    cuts: int
    seed: int
    done: list[str] = field(default_factory=list)
    """The faults so far, each with its time."""

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)
        parts = [*PARTS] * -(-self.kills // len(PARTS))
        self.left = [*self._random.sample(parts[: self.kills], self.kills), *["cut"] * self.cuts]
        self._random.shuffle(self.left)

    def during(self, is_over: Callable[[], bool]) -> Iterator[str]:
        """Does one fault after another until the command is over or none is left; yields each when it is done.

        A part that does not run at the moment, such as the update, has its turn when it does.
        """
        while self.left and not is_over():
            pause_s = self._random.uniform(*PAUSE_S)
            wanted = next((one for one in self.left if self._runs(one)), None)
            if wanted is not None:
                self.left.remove(wanted)
                self.done.append(f"{time.strftime('%H:%M:%S')} {self._do(wanted)}")
                yield self.done[-1]
            time.sleep(pause_s if wanted else 0.2)

    def _do(self, wanted: str) -> str:
        if wanted == "cut":
            machine = self._random.choice([self.cluster.browsers, self.cluster.models])
            seconds = self._random.uniform(SHORTEST_CUT_S, LONGEST_CUT_S)
            with machine.cut_off(seconds):
                return f"machine {machine.number} cut off for {seconds:.0f} s"
        found = self._processes(wanted)
        if not found:
            return f"{wanted} had ended by itself"
        one = self._random.choice(sorted(found, key=lambda process: process.pid))
        words = " ".join(line_of(one))[:80]
        try:
            one.kill()
        except psutil.NoSuchProcess:
            return f"{wanted} had ended by itself"
        return f"killed {wanted}: {words}"

    def _runs(self, wanted: str) -> bool:
        return wanted == "cut" or bool(self._processes(wanted))

    def _processes(self, part: str) -> list[psutil.Process]:
        number, words = PARTS[part]
        machine = self._machine(number)
        lines = {process: " ".join(line_of(process)) for process in machine.processes()}
        return [process for process, line in lines.items() if any(word in line for word in words)]

    def _machine(self, number: int) -> Machine:
        return {1: self.cluster.loop, 2: self.cluster.browsers, 3: self.cluster.models}[number]
