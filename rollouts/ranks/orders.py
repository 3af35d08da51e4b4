"""Orders of a loop to the process that plays a shard elsewhere, and its answers: two files in the run folder.

    runs/<name>/ranks/01/order.json      {"rank": "4fd1..", "number": 3, "order": {"what": "hold", "deadline_s": 60}, ..}
                        /answer.json     {"rank": "4fd1..", "number": 3, "lost": null, "running": 2}
                        /4fd1../heartbeat.json   of that process, while it lives; see storage/heartbeat.py

The loop writes an order, the rank carries it out and answers; a newer order ends the one before. `rank` names one process:
one that finds another name in order.json has been replaced, and ends. The machines share this folder already, and need not
reach one another, so it is files and not HTTP.
"""

from pathlib import Path
from typing import Annotated, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from agent.models.openai_chat import Served
from storage.atomic import write_atomically
from storage.errors import LoopError
from storage.stages import Stage

ORDER, ANSWER = "order.json", "answer.json"

M = TypeVar("M", bound=BaseModel)


class BadOrder(LoopError):
    """An order can't be read. The message is one sentence."""


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Play(_Strict):
    """Play the missing episodes of the shard in one round of a stage."""

    what: Literal["play"] = "play"
    iteration: int
    stage: Stage
    round: int
    served: Served
    browsers: str
    """URL of the browser service."""


class EndEarly(_Strict):
    """Begin no further episode of the stage that was begun early; running ones go on."""

    what: Literal["end_early"] = "end_early"


class Carry(_Strict):
    """Move the running episodes to the rollout of this iteration."""

    what: Literal["carry"] = "carry"
    iteration: int


class BeginEarly(_Strict):
    """Begin the rollout of this iteration before its stage."""

    what: Literal["begin_early"] = "begin_early"
    iteration: int


class Hold(_Strict):
    """Let no turn begin, and wait up to so many seconds for running ones."""

    what: Literal["hold"] = "hold"
    deadline_s: float


class Serve(_Strict):
    """Continue with this policy."""

    what: Literal["serve"] = "serve"
    served: Served


class Close(_Strict):
    """End; running episodes are abandoned."""

    what: Literal["close"] = "close"


Order = Annotated[Play | EndEarly | Carry | BeginEarly | Hold | Serve | Close, Field(discriminator="what")]


class Ordered(_Strict):
    """Content of order.json: the newest order to a rank."""

    rank: str
    """Name of the process that it is for."""
    number: int
    """Counts the orders to that process, from 1."""
    order: Order
    traceparent: str | None = None
    """The span of the stage, where runs are traced."""


class Answer(_Strict):
    """Content of answer.json: the newest order that a rank has carried out."""

    rank: str
    number: int
    lost: str | None = None
    """The service that was lost while it played, None if none was."""
    running: int = 0
    """Episodes that go on."""


class RankFiles:
    """The files of a shard's rank in a run folder."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def tell(self, ordered: Ordered) -> None:
        """Replaces the order."""
        self._write(ORDER, ordered)

    def order(self) -> Ordered | None:
        """The newest order; None if there is none. Raises `BadOrder`."""
        try:
            return self._read(ORDER, Ordered)
        except ValidationError as error:
            raise BadOrder(
                f"{self.directory / ORDER} is no order that this version knows ({error.errors()[0]['msg']}); is the loop of the "
                "same version as its workers?"
            ) from error

    def answer(self, answer: Answer) -> None:
        """Replaces the answer."""
        self._write(ANSWER, answer)

    def answered(self, rank: str, number: int) -> Answer | None:
        """The answer of this process to this order, None before it."""
        try:
            answer = self._read(ANSWER, Answer)
        except ValidationError:  # a worker of another version; its end is waited for
            return None
        return answer if answer is not None and (answer.rank, answer.number) == (rank, number) else None

    def _write(self, name: str, content: BaseModel) -> None:
        self.directory.mkdir(parents=True, exist_ok=True)
        # Without fsync: after a machine's crash no rank of it lives, and no order is waited for.
        write_atomically(self.directory / name, content.model_dump_json().encode(), durable=False)

    def _read(self, name: str, model: type[M]) -> M | None:
        try:
            return model.model_validate_json((self.directory / name).read_bytes())
        except OSError:
            return None
