"""The pages of the widgets on loopback: `/npm/` for the packages, `/built/` for bundles, `/state` for page state."""

import json
import mimetypes
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

HERE = Path(__file__).parent
INSTALL_S = 600
# A page reports the result of `state()` on each change; it touches nothing that the service could observe.
TELL = """<script>(() => { let last; setInterval(() => { const said = JSON.stringify(window.state ? window.state() : {});
if (said !== last) { last = said; fetch('/state', { method: 'POST', body: said }).catch(() => {}); } }, 60); })();</script>"""


def install(folder: Path) -> Path:
    """Installs the packages of package.json into `folder` and bundles the entries; repeating it is fast.

    Returns `folder`/node_modules. Raises `subprocess.CalledProcessError`, and `FileNotFoundError` where npm is missing.
    """
    folder.mkdir(parents=True, exist_ok=True)
    wanted = (HERE / "package.json").read_bytes()
    stamp = folder / "installed.json"
    modules = folder / "node_modules"
    if not stamp.exists() or stamp.read_bytes() != wanted:
        (folder / "package.json").write_bytes(wanted)
        command = ["npm", "install", "--ignore-scripts", "--no-audit", "--no-fund", "--no-package-lock"]
        subprocess.run(command, cwd=folder, check=True, timeout=INSTALL_S)
    (built := folder / "built").mkdir(exist_ok=True)
    (bundler,) = (modules / "@esbuild").glob("*/bin/esbuild")
    for entry in (HERE / "entries").iterdir():
        options = ["--bundle", "--format=iife", "--loader:.js=jsx", "--log-level=error"]
        options += ['--define:process.env.NODE_ENV="production"', f"--outfile={built / entry.stem}.js"]
        # The entries lie outside of the folder with the packages: esbuild finds the packages by NODE_PATH.
        subprocess.run([bundler, entry, *options], check=True, timeout=INSTALL_S, env={"NODE_PATH": str(modules)})
    stamp.write_bytes(wanted)
    return modules


class Site:
    """A server for the pages, with the last state that the open page reported. Use as `with Site(modules) as site`."""

    def __init__(self, modules: Path) -> None:
        self.state: dict[str, Any] | None = None
        """None until the open page has reported a state."""
        self._modules = modules
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self.address = f"127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> "Site":
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _file(self, path: str) -> Path | None:
        roots = {"npm": self._modules, "built": self._modules.parent / "built"}
        first, _, rest = path.lstrip("/").partition("/")
        root, name = (roots[first], rest) if first in roots else (HERE / "pages", path.lstrip("/"))
        file = (root / name).resolve()
        return file if file.is_file() and root.resolve() in file.parents else None

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        site = self

        class Handler(BaseHTTPRequestHandler):
            """Serves files, and receives the state."""

            protocol_version = "HTTP/1.1"

            def log_message(self, format: str, *_: Any) -> None:
                pass

            def answer(self, body: bytes, kind: str, status: int = 200) -> None:
                self.send_response(status)
                self.send_header("content-type", kind)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def do_POST(self) -> None:
                site.state = json.loads(self.rfile.read(int(self.headers.get("content-length") or 0)))
                self.answer(b"", "text/plain")

            def do_GET(self) -> None:
                file = site._file(urlsplit(self.path).path)
                if file is None:
                    self.answer(b"", "text/plain", 404)
                    return
                body = file.read_bytes()
                if file.suffix == ".html":
                    body = body.replace(b"</title>", b"</title>" + TELL.encode(), 1)
                kind = mimetypes.guess_type(file.name)[0] or "application/octet-stream"
                # Without it a browser reads scripts as windows-1252: CKEditor then miscounts its own invisible characters.
                self.answer(body, f"{kind}; charset=utf-8" if kind.startswith("text/") else kind)

        return Handler
