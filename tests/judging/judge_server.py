"""A judge on loopback that speaks the OpenAI, Gemini and Anthropic protocols; a function of the test answers."""

import json
import re
import sys
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

Json = dict[str, Any]


class Question(NamedTuple):
    """A judge's view of a request, whatever the protocol."""

    system: str
    texts: list[str]
    pictures: int
    form: str
    """`Relevance`, `Support`, `Facts` or `Blocking`."""
    model: str = ""
    """The asked model; empty for Gemini, whose address has it."""
    sure: bool = False
    """True if the reply has to tell the judge's confidence."""

    @property
    def text(self) -> str:
        return "\n".join(self.texts)

    @property
    def marker(self) -> str:
        found = re.search(r"marker of this call is ([0-9a-f]{32})\.", self.texts[0])
        assert found
        return found[1]

    @property
    def pages(self) -> list[int]:
        """Numbers of the shown pages, from this project's own labels."""
        labels = re.findall(rf"^<<{self.marker} pages? ([\d, ]+), title", self.text, re.MULTILINE)
        return [int(number) for label in labels for number in label.split(",")]

    @property
    def facts(self) -> int:
        return len(re.findall(rf"^<<{self.marker} fact \d+$", self.text, re.MULTILINE))

    def outside(self) -> str:
        """All that is not data: the project's own words."""
        return re.sub(
            rf"^<<{self.marker} [^\n]*\n.*?^{self.marker}>>", "DATA", self.text, flags=re.DOTALL | re.MULTILINE
        )


class Said(NamedTuple):
    """A reply; `raw` replaces the whole body."""

    text: str
    finish: str = "stop"
    """`stop`, `length` or `refused`."""
    status: int = 200
    headers: dict[str, str] = {}
    after_s: float = 0.0
    raw: bytes | None = None


class JudgeServer:
    """The server's address, the questions it was asked, and the function that answers."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.questions: list[Question] = []
        self.bodies: list[Json] = []
        self.answer: Callable[[Question], Said] = lambda question: Said(yes(question))
        self.rejects: Callable[[Json], str] = lambda body: ""
        """A message for a 400, empty when the request is accepted."""
        self._lock = threading.Lock()

    def respond(self, path: str, body: Json) -> tuple[int, dict[str, str], bytes]:
        with self._lock:
            self.bodies.append(body)
        if message := self.rejects(body):
            return 400, {}, json.dumps({"error": {"message": message}}).encode()
        question, render = _PROTOCOLS[next(name for name in _PROTOCOLS if name in path)](body)
        with self._lock:
            self.questions.append(question)
        said = self.answer(question)
        time.sleep(said.after_s)
        return said.status, said.headers, json.dumps(render(said)).encode() if said.raw is None else said.raw


def reply_to(question: Question, **fields: Any) -> Json:
    """A positive reply in the asked form, with `fields` replaced."""
    pages = question.pages[-1:]
    replies: dict[str, Json] = {
        "Relevance": {"pages": pages},
        "Support": {"reason": "seen", "supported": True, "answers_task": True, "pages": pages, "quote": "42 EUR"},
        "Facts": {
            "facts": [
                {"number": n, "reason": "seen", "met": True, "pages": pages, "quote": "42 EUR"}
                for n in range(1, question.facts + 1)
            ],
            "matches_reference": True if f"<<{question.marker} reference answer" in question.text else None,
            "site_at_fault": False,
            "forbidden_side_effect": False,
            "side_effect_pages": [],
        },
        "Blocking": {"reason": "seen", "blocked": True, "pages": pages},
    }
    sure = {"confidence": "high"} if question.sure and question.form in ("Support", "Facts") else {}
    return {"call": question.marker} | replies[question.form] | sure | fields


def yes(question: Question, **fields: Any) -> str:
    """A positive reply as text."""
    return json.dumps(reply_to(question, **fields))


def _form(schema: Json) -> str:
    names = set(schema["properties"])
    return next(form for form, name in FORMS.items() if name in names)


FORMS = {"Support": "supported", "Facts": "facts", "Blocking": "blocked", "Relevance": "pages"}


def _openai(body: Json) -> tuple[Question, Callable[[Said], Json]]:
    system, user = body["messages"]
    parts = user["content"]
    texts = [part["text"] for part in parts if part["type"] == "text"]
    form = body["response_format"]["json_schema"]["schema"] if "response_format" in body else None
    asked = _form(form) if form else _by_words(system["content"])
    sure = '"confidence"' in system["content"]
    assert form is None or sure == ("confidence" in form["properties"])
    question = Question(system["content"], texts, len(parts) - len(texts), asked, body["model"], sure)
    finishes = {"stop": "stop", "length": "length", "refused": "content_filter"}

    def render(said: Said) -> Json:
        choice = {"message": {"content": said.text}, "finish_reason": finishes[said.finish]}
        return {"choices": [choice], "usage": {"prompt_tokens": 1_000, "completion_tokens": 100}}

    return question, render


def _gemini(body: Json) -> tuple[Question, Callable[[Said], Json]]:
    parts = body["contents"][0]["parts"]
    texts = [part["text"] for part in parts if "text" in part]
    config = body["generationConfig"]
    system = body["systemInstruction"]["parts"][0]["text"]
    question = Question(system, texts, len(parts) - len(texts), _form(config["responseJsonSchema"]))
    finishes = {"stop": "STOP", "length": "MAX_TOKENS", "refused": "SAFETY"}

    def render(said: Said) -> Json:
        content = {"role": "model", "parts": [{"text": said.text}]}
        usage = {"promptTokenCount": 1_000, "candidatesTokenCount": 90, "thoughtsTokenCount": 10}
        return {"candidates": [{"content": content, "finishReason": finishes[said.finish]}], "usageMetadata": usage}

    return question, render


def _anthropic(body: Json) -> tuple[Question, Callable[[Said], Json]]:
    parts = body["messages"][0]["content"]
    texts = [part["text"] for part in parts if part["type"] == "text"]
    schema = body["output_config"]["format"]["schema"]
    question = Question(body["system"], texts, len(parts) - len(texts), _form(schema))
    finishes = {"stop": "end_turn", "length": "max_tokens", "refused": "refusal"}

    def render(said: Said) -> Json:
        return {
            "id": "msg_1",
            "type": "message",
            "role": "assistant",
            "model": body["model"],
            "content": [{"type": "text", "text": said.text}],
            "stop_reason": finishes[said.finish],
            "usage": {"input_tokens": 1_000, "output_tokens": 100},
        }

    return question, render


def _by_words(system: str) -> str:
    return next(form for form, name in FORMS.items() if f'"{name}":' in system)


_PROTOCOLS: dict[str, Callable[[Json], tuple[Question, Callable[[Said], Json]]]] = {
    "/chat/completions": _openai,
    ":generateContent": _gemini,
    "/messages": _anthropic,
}


@contextmanager
def running_judge() -> Generator[JudgeServer]:
    """The server in threads of this process."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            data = self.rfile.read(length := int(self.headers.get("content-length", 0)))
            if len(data) < length:  # the client was killed
                self.close_connection = True
                return
            body = json.loads(data)
            status, headers, content = judge.respond(self.path, body)
            if not status:
                self.close_connection = True
                return
            self.send_response(status)
            for name, value in {"content-type": "application/json", **headers}.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            with suppress(ConnectionError):  # nobody waits any more
                self.wfile.write(content)

        def log_message(self, format: str, *arguments: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        def handle_error(self, request: Any, client_address: Any) -> None:
            if not isinstance(sys.exc_info()[1], ConnectionError):  # of a client that was killed
                super().handle_error(request, client_address)

    server = Server(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    judge = JudgeServer(f"http://127.0.0.1:{server.server_port}")
    yield judge
    server.shutdown()
    server.server_close()
    thread.join()
