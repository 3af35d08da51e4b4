"""Environment variables of this package, and the only place that touches them."""

import os


def failpoint() -> str:
    """`RL_LOOP_FAILPOINT`: where and how to fail on purpose, for crash tests; empty in ordinary runs."""
    return os.environ.get("RL_LOOP_FAILPOINT", "")


def let_idle_threads_sleep() -> None:
    """Call before torch is imported, unless `OMP_WAIT_POLICY` is set by the user.

    OpenMP's threads wait for each other by spinning. Where other processes want the same cores that burns what the
    slower thread is waiting for: on two busy cores an update took over five times as long.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
