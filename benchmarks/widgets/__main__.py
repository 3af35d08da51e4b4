"""Drives real widgets of npm through the browser service, and prints which of them an agent can use.

    python -m benchmarks.widgets [--url http://127.0.0.1:7000] [--only PART] [--folder build/widgets]

Without --url it starts its own service. The packages (exact versions in package.json, about 400 MB) are installed by
npm into --folder, once. Exit status 1 when a widget can't be used. A run takes about two minutes after the
installation.
"""

import argparse
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.pool_parts import running
from benchmarks.widgets.cases import CASES
from benchmarks.widgets.hands import Hands, Missed
from benchmarks.widgets.site import Site, install
from browser_service.client.sync import SyncBrowserPool
from browser_service.errors import BrowserServiceError


def main() -> int:
    """Runs the cases; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.widgets", description=__doc__.partition("\n")[0])
    parser.add_argument("--url", help="a browser service that runs already")
    parser.add_argument("--only", default="", help="run the cases with this in their names")
    parser.add_argument("--folder", type=Path, default=Path("build/widgets"), help="where the packages are installed")
    given = parser.parse_args()
    modules = install(given.folder.resolve())
    missed = 0
    with Site(modules) as site, _service(given.url) as url, SyncBrowserPool(url) as pool:
        chosen = {name: run for name, run in CASES.items() if given.only in name}
        for name, run in chosen.items():
            began = time.monotonic()
            why = ""
            try:
                with pool.lease(owner="widgets", sites=[site.address], ttl_s=120, wait_s=60) as browser:
                    hands = Hands(browser, site)
                    hands.open(name.partition("__")[0])
                    run(hands)
            except (Missed, AssertionError, BrowserServiceError) as error:
                missed, why = missed + 1, str(error)
            print(f"{'missed' if why else 'ok':7} {name:32} {time.monotonic() - began:5.1f} s  {why}", flush=True)
    print(f"{len(chosen) - missed} of {len(chosen)} uses of widgets are possible")
    return 1 if missed else 0


@contextmanager
def _service(url: str | None) -> Generator[str]:
    if url:
        yield url
    else:
        with running("up", slots=2) as service:
            yield service.url


if __name__ == "__main__":
    sys.exit(main())
