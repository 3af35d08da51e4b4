"""Details of a replay that are fetched when they are looked at: the tokens of a completion, the requests and messages of the pages."""

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeVar

from agent.types import Completion, RecordedKind, Trajectory
from browser_service.models import RequestRecord
from dashboard.store import Damaged, NotFound, RunsDir
from dashboard.stored import Stored
from dashboard.views import ConsoleList, ConsoleView, RequestList, RequestView, TokenView
from storage.recordings.requests import CorruptRequests, read_console, read_requests, steps_of
from storage.run_layout import RunLayout

if TYPE_CHECKING:
    from tokenizers import Tokenizer

TOKENIZER = "tokenizer.json"
"""The file of a Hugging Face model that the package `tokenizers` reads."""
MOST_REQUESTS = 3_000
"""Requests in an answer; the browser service records no more."""
LONGEST_BODY = 2_000
"""Characters of a request's body in an answer; the artifact has more."""
LONGEST_CHARACTER = 4
"""Tokens that one character can take: bytes of UTF-8."""


L = TypeVar("L", covariant=True)


class ReadLog(Protocol[L]):
    """Reads a log of a trajectory's folder; None if there is none."""

    def __call__(self, folder: Path, *, size: int) -> L | None: ...


def tokens(found: Stored, index: int, run: Path | None) -> list[TokenView]:
    """The sampled tokens of a step's completion, with their log-probabilities. Raises `NotFound`.

    Their texts come from the tokenizer of a policy of the run; without one, they are empty.
    """
    step = found.step(index)
    if step is None or step.completion is None:
        raise NotFound("this trajectory has no completion at this step")
    said = step.completion
    logprobs = said.logprobs if len(said.logprobs) == len(said.token_ids) else (None,) * len(said.token_ids)
    texts = _texts(said, _tokenizer_of(run))
    parts = zip(said.token_ids, texts, logprobs, strict=True)
    return [TokenView(id=number, text=text, logprob=logprob) for number, text, logprob in parts]


def requests(stored: Stored, runs: RunsDir, folder: Path) -> RequestList:
    """The requests of the pages, where they were recorded. Raises `NotFound` and `Damaged`."""
    found = stored.bare()
    log = _log(found, "network", read_requests, runs, folder)
    placed = steps_of(log.requests[:MOST_REQUESTS], log, found)
    return RequestList(total=log.head.requests, rows=[_request(request, step) for request, step in placed])


def console(stored: Stored, runs: RunsDir, folder: Path) -> ConsoleList:
    """The messages of the pages' console, where they were recorded. Raises `NotFound` and `Damaged`."""
    found = stored.bare()
    log = _log(found, "console", read_console, runs, folder)
    rows = [
        ConsoleView.model_validate(line.model_dump() | {"step": step}) for line, step in steps_of(log.lines, log, found)
    ]
    return ConsoleList(full=log.head.full, rows=rows)


def _log(found: Trajectory, kind: RecordedKind, read: ReadLog[L], runs: RunsDir, folder: Path) -> L:
    recorded = next((one for one in found.recorded if one.kind == kind and one.file), None)
    if recorded is None:
        raise NotFound(f"nothing of this kind was recorded; the setting agent.record.{kind} records it")
    runs.recorded(folder, found.id, recorded.file)  # a link out of the directory is refused
    try:
        log = read(folder / found.id, size=recorded.size)
    except CorruptRequests as error:
        raise Damaged(str(error).replace(f"{runs.root}/", "")) from None
    if log is None:
        raise NotFound("the record was removed")
    return log


def _request(request: RequestRecord, step: int | None) -> RequestView:
    same = {name: getattr(request, name) for name in RequestView.model_fields if name in RequestRecord.model_fields}
    body = "(binary)" if request.base64 else (request.body or "")[:LONGEST_BODY]
    return RequestView.model_validate(same | {"step": step, "body": body})


def _tokenizer_of(run: Path | None) -> "Tokenizer | None":
    """The tokenizer of a run's newest policy that still has its files."""
    found = sorted(RunLayout(run).policies.glob(f"*/{TOKENIZER}")) if run is not None else []
    return _read_tokenizer(found[-1], found[-1].stat().st_mtime_ns) if found else None


@lru_cache(maxsize=2)
def _read_tokenizer(path: Path, changed: int) -> "Tokenizer | None":
    """Cached by the time of the last change: a vocabulary takes half a second. None without the package, or for another format."""
    try:
        from tokenizers import Tokenizer

        return Tokenizer.from_file(str(path))
    except ImportError:
        return None
    except Exception:  # tokenizers raises nothing more specific for a file that it can't read
        return None


def _texts(said: Completion, tokenizer: "Tokenizer | None") -> list[str]:
    """The text of each token. A character of several tokens is at its last one."""
    if tokenizer is None:
        return [""] * len(said.token_ids)
    texts: list[str] = []
    waiting: list[int] = []
    for token in said.token_ids:
        waiting.append(token)
        text = tokenizer.decode(waiting, skip_special_tokens=False)
        if text.endswith("\ufffd") and len(waiting) < LONGEST_CHARACTER:
            texts.append("")
            continue
        texts.append(text)
        waiting = []
    return texts
