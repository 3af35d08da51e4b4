"""The Chromium command line: the executable, its flags, and the small program that Playwright starts in its place.

That program adds to Playwright's own list of disabled features, drops root's privileges so that the sandbox works,
and asks the kernel to kill Chromium when the driver dies.
"""

import os
import shlex
import shutil
import stat
import subprocess
from pathlib import Path

from browser_service.egress.egress import RESOLVE_NOTHING
from browser_service.settings import Settings

# The headless shell makes a page with a third of the work of the full browser.
EXECUTABLES = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
FLAGS = (
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    # Two spellings: the full browser reads the first, the headless shell the second.
    "--webrtc-ip-handling-policy=disable_non_proxied_udp",
    "--force-webrtc-ip-handling-policy=disable_non_proxied_udp",
)
# The full browser renders invisible parts of a window, for each page: half of the work of a new page.
# The features are added to Playwright's own flag, because of two such flags Chromium reads only the last.
UNSEEN_FEATURES = (
    "PreloadTopChromeWebUI",
    "PreloadTopChromeWebUILessNavigations",
    "WebUIOmniboxPopup",
    "WebUIOmniboxAimPopup",
    "InitialWebUI",
    "WebUIReloadButton",
)
# With it each document gets a new frame host, widget and compositor, within one process too: a third of the work of going
# to a page and leaving it. It changes nothing about which process a site gets.
COSTLY_FEATURES = ("RenderDocument",)
TRUSTED_ONLY = "set BROWSER_SERVICE_ALLOW_UNSANDBOXED=1 for pages that you trust"


class LaunchError(RuntimeError):
    """Chromium can't be started here. The message is one sentence that states the remedy."""


def find_executable(settings: Settings, playwrights_own: str) -> Path:
    """The browser to run: the configured one, the first on the PATH, or Playwright's own. Raises `LaunchError`."""
    if settings.chromium is not None:
        if not settings.chromium.is_file():
            raise LaunchError(f"BROWSER_SERVICE_CHROMIUM is {settings.chromium}, which does not exist")
        return settings.chromium
    for name in EXECUTABLES:
        if found := shutil.which(name):
            return _program_behind(Path(found))
    if Path(playwrights_own).is_file():
        return Path(playwrights_own)
    raise LaunchError(
        "no Chromium found: install one (`apt-get install chromium-headless-shell` or `chromium`, or "
        "`playwright install chromium`) or set BROWSER_SERVICE_CHROMIUM to its path"
    )


def _program_behind(found: Path) -> Path:
    """Skips the script that starts Debian's headless shell and stays its parent: the kernel would kill only that."""
    behind = Path("/usr/lib/chromium") / found.name
    return behind if found.name == "chromium-headless-shell" and behind.is_file() else found


DOWNLOADS = "downloads"
"""Folder below Chromium's own folder for downloads of pages."""


class Launcher:
    """Makes the program that Playwright starts in Chromium's place."""

    def __init__(self, executable: Path, settings: Settings) -> None:
        """Raises `LaunchError` when the service runs as root and the sandbox is not available."""
        self.executable = executable
        self._uid = settings.sandbox_uid if os.getuid() == 0 and not settings.allow_unsandboxed else None
        self._prefix = _privileges(executable, settings) if self._uid is not None else _dies_with_parent()

    def prepare(self, home: Path) -> Path:
        """Makes Chromium's folder and, beside it, the program that starts Chromium there; returns that program."""
        home.mkdir(mode=0o700)
        (home / DOWNLOADS).mkdir()
        give = ":"
        if self._uid is not None:
            os.chown(home, self._uid, self._uid)
            os.chown(home / DOWNLOADS, self._uid, self._uid)
            give = f'chown -R {self._uid}:{self._uid} "${{word#*=}}"'
        # The shell execs Chromium in the end, so its process id is Chromium's.
        script = f"""#!/bin/sh
echo $$ > {shlex.quote(str(_pid_file(home)))}
for word in "$@"; do
  shift
  case "$word" in
    --disable-features=*) word="$word,{",".join((*UNSEEN_FEATURES, *COSTLY_FEATURES))}" ;;
    --user-data-dir=*) {give} ;;
  esac
  set -- "$@" "$word"
done
exec {shlex.join([*self._prefix, str(self.executable)])} "$@"
"""
        program = home.with_name(f"{home.name}-launch")
        program.write_text(script, encoding="utf-8")
        program.chmod(stat.S_IRWXU)
        return program

    def pid_of(self, home: Path) -> int:
        """Process id of the Chromium that was started with this folder. Raises `LaunchError` if there is none."""
        try:
            return int(_pid_file(home).read_text())
        except (OSError, ValueError):
            raise LaunchError(f"{self.executable} was not even started") from None


def _pid_file(home: Path) -> Path:
    return home.with_name(f"{home.name}-pid")


def flags(settings: Settings) -> list[str]:
    """Chromium's flags in addition to Playwright's."""
    resolving = [RESOLVE_NOTHING] if settings.egress else []
    return [*FLAGS, *resolving, f"--js-flags=--max-old-space-size={settings.heap_mb}"]


def launch_reason(executable: Path, settings: Settings, report: str) -> str:
    """One sentence from Playwright's report of a failed launch."""
    reason = _telling_line(report)
    is_sandbox = not settings.allow_unsandboxed and ("sandbox" in reason.lower() or "namespace" in reason.lower())
    hint = "; BROWSER_SERVICE_ALLOW_UNSANDBOXED=1 runs it without its sandbox, for pages that you trust"
    return f"{executable} did not start: {reason}{hint if is_sandbox else ''}"


def chromium_environment(home: Path) -> dict[str, str | float | bool]:
    """The environment of Chromium: only variables of ours that can't be secrets."""
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "LC_ALL", "TZ") if name in os.environ}
    return {**kept, "HOME": str(home), "TMPDIR": str(home), "XDG_RUNTIME_DIR": str(home)}


def _dies_with_parent() -> list[str]:
    setpriv = shutil.which("setpriv")
    return [setpriv, "--pdeathsig=KILL", "--"] if setpriv else []


def _privileges(executable: Path, settings: Settings) -> list[str]:
    """The command prefix that switches the user. Raises `LaunchError` if that user can't run Chromium."""
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        raise LaunchError(
            "Chromium's sandbox needs another user than root, and `setpriv` (package util-linux) is missing: "
            f"install it, or {TRUSTED_ONLY}"
        )
    uid = settings.sandbox_uid
    become = [setpriv, f"--reuid={uid}", f"--regid={uid}", "--clear-groups", "--pdeathsig=KILL", "--"]
    command = [*become, "test", "-x", str(executable)]
    try:
        test = subprocess.run(command, check=False, timeout=settings.launch_deadline_s, capture_output=True)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise LaunchError(f"{setpriv}, which starts Chromium as another user, could not be run: {error}") from error
    if test.returncode != 0:
        raise LaunchError(
            f"the sandbox runs Chromium as user id {uid}, which can't execute {executable}: put it where every user "
            f"can read it, or {TRUSTED_ONLY}"
        )
    return become


def _telling_line(message: str) -> str:
    """The line of Playwright's launch report that states the cause."""
    lines = [line.strip() for line in message.splitlines() if line.strip()]
    telling = [line for line in lines if "FATAL" in line or "sandbox" in line.lower() or "error while loading" in line]
    chosen = (telling or lines or ["no answer in time"])[0]
    return chosen.rpartition("[err] ")[2][:300]
