"""Programs of the unpacked Debian packages, with the variables that they need away from their usual places."""

import os
import subprocess
from pathlib import Path

ROOT = Path(os.environ["RL_LOOP_ROOT"])
"""Folder of the unpacked packages."""
ROUNDCUBE = ROOT / "usr" / "share" / "roundcube"
SITE = Path(__file__).parent


def variables(**more: str) -> dict[str, str]:
    """Variables of a program: its libraries lie below the folder of the packages."""
    libraries = [*ROOT.glob("usr/lib/*-linux-gnu"), *ROOT.glob("lib/*-linux-gnu"), ROOT / "usr" / "lib" / "dovecot"]
    own = {"LD_LIBRARY_PATH": os.pathsep.join(map(str, libraries)), "RL_LOOP_MODULES": str(_one("usr/lib/php/20*"))}
    settings = {"RCUBE_CONFIG_PATH": str(ROOT / "etc" / "roundcube"), "ROUNDCUBE_CONFIG_DIR": str(SITE)}
    return dict(os.environ) | own | settings | {"PHP_INI_SCAN_DIR": ""} | more


def php(*arguments: str) -> list[str]:
    """Command line of PHP."""
    return [str(_one("usr/bin/php[0-9]*.[0-9]*")), "-c", str(SITE / "php.ini"), *arguments]


def imap_settings(folder: Path, files: Path) -> dict[str, str]:
    """Variables by which Dovecot's `imap` knows its settings, which its `doveconf` makes out of a file.

    `folder`: one that gets the file. `files`: that of the mailboxes; for root `imap` becomes its owner.
    """
    lines = [
        f"base_dir = {folder}",
        f"state_dir = {folder}",
        f"mail_plugin_dir = {ROOT}/usr/lib/dovecot/modules",
        *("protocols = imap", "ssl = no", "log_path = /dev/stderr", "mail_location = maildir:~/Maildir"),
        *("mail_fsync = never", "imap_hibernate_timeout = 0", "namespace inbox {", "  inbox = yes", "}"),
    ]
    if os.geteuid() == 0:
        owner = files.stat()
        lines += [f"mail_uid = {owner.st_uid}", f"mail_gid = {owner.st_gid}"]
        lines += [f"first_valid_uid = {owner.st_uid}", f"first_valid_gid = {owner.st_gid}"]
    file = folder / "dovecot.conf"
    file.write_text("\n".join(lines) + "\n")
    doveconf = [str(ROOT / "usr/bin/doveconf"), "-f", "service=imap", "-c", str(file), "-m", "imap"]
    own = {"LD_LIBRARY_PATH": variables()["LD_LIBRARY_PATH"], "PATH": os.environ.get("PATH", "")}
    printed = subprocess.run(
        [*doveconf, "-e", "/usr/bin/env", "-0"], env=own, capture_output=True, timeout=60, check=True
    )
    found = dict(one.partition("=")[::2] for one in printed.stdout.decode().split("\0") if one)
    return found | own


def _one(pattern: str) -> Path:
    found = sorted(ROOT.glob(pattern))
    if not found:
        raise SystemExit(f"expected {pattern} in {ROOT}, found none; install the application again")
    return found[-1]
