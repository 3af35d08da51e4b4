"""Serves Roundcube: PHP's web server, the IMAP server and the sink for mail. When one of them ends, all end.

python serve.py PORT
"""

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import programs
from account import ACCOUNT, PASSWORD
from aiosmtpd.smtp import SMTP
from imap_front import ImapFront
from sink import Sink

WORKERS = 6
"""Processes of PHP's web server, each of which serves one request at a time."""


async def serve(port: int) -> str:
    """Serves until one of the servers ends, and says which."""
    files, folder = Path(os.environ["RL_LOOP_FILES"]), Path(os.environ["RL_LOOP_FOLDER"])
    settings = await asyncio.to_thread(programs.imap_settings, folder, files)
    front = ImapFront(programs.ROOT / "usr/lib/dovecot/imap", settings, files, PASSWORD)
    loop = asyncio.get_running_loop()
    smtp = await loop.create_server(lambda: SMTP(Sink(files), hostname="localhost", loop=loop), "127.0.0.1", 0)
    ports = {"RL_LOOP_IMAP": str(front.port), "RL_LOOP_SMTP": str(smtp.sockets[0].getsockname()[1])}
    variables = programs.variables(**ports, PHP_CLI_SERVER_WORKERS=str(WORKERS), RL_LOOP_ACCOUNT=ACCOUNT)
    web = await asyncio.create_subprocess_exec(
        *programs.php("-S", f"127.0.0.1:{port}", "-t", str(programs.ROUNDCUBE), str(programs.SITE / "router.php")),
        env=variables,
        stdout=subprocess.DEVNULL,  # a line per request, and its errors are in php.log
        stderr=subprocess.DEVNULL,
    )
    running = {
        asyncio.create_task(web.wait(), name="PHP's web server"),
        asyncio.create_task(front.serve(), name="the IMAP server"),
        asyncio.create_task(smtp.serve_forever(), name="the sink"),
    }
    try:
        ended, _ = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
        return f"{', '.join(task.get_name() for task in ended)} ended: {[task.exception() for task in ended]}"
    finally:
        for task in running:
            task.cancel()
        if os.getpgrp() == os.getpid():
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            os.killpg(0, signal.SIGTERM)  # the workers of PHP's web server outlive their parent


if __name__ == "__main__":
    sys.exit(asyncio.run(serve(int(sys.argv[1]))))
