"""Drain orders that hold until they are revoked, also through a restart: stored in a file in the state folder."""

import logging
import os
import time
from pathlib import Path

from pydantic import Field, ValidationError

from browser_service.models.wire import Wire, from_another_version
from browser_service.settings import Settings

log = logging.getLogger(__name__)


class Order(Wire):
    """A drain state and the time of the order. Of two orders the later counts."""

    draining: bool = False
    at: float = Field(default=0.0, ge=0, allow_inf_nan=False)
    """Seconds since 1970, by the clock of the sender."""

    @classmethod
    def now(cls, draining: bool) -> "Order":
        """An order given at the current time."""
        return cls(draining=draining, at=time.time())


class Standing(Wire):
    """The drain orders of a process."""

    itself: Order = Order()
    """For this process, and for a node's instances."""
    service: Order = Order()
    """For all processes that give out leases of the service."""


class Orders:
    """The drain orders of a process. Without a file they end with the process."""

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        self._standing = _read(path) if path else Standing()
        for name, order in (("this process", self.itself), ("the whole service", self.service)):
            if order.draining:
                log.warning("%s was draining before the restart; `browser-service drain --undo` ends it", name)

    @property
    def itself(self) -> Order:
        """For this process, and for a node's instances."""
        return self._standing.itself

    @property
    def service(self) -> Order:
        """For all processes that give out leases of the service."""
        return self._standing.service

    def set_itself(self, draining: bool) -> None:
        """Sets the order for this process."""
        self._keep(Standing(itself=Order.now(draining), service=self.service))

    def set_service(self, order: Order) -> None:
        """Sets the order for the service, unless a later one is stored."""
        if order.at > self.service.at:
            self._keep(Standing(itself=self.itself, service=order))

    def _keep(self, standing: Standing) -> None:
        self._standing = standing
        if self._path is None:
            return
        try:
            _write(self._path, standing)
        except OSError as error:
            log.warning("an order to drain holds only until the restart, %s can't be written: %s", self._path, error)


def orders_of(settings: Settings) -> Orders:
    """The orders of the process on this port."""
    return Orders(settings.state_dir.absolute() / f"drained-{settings.port}")


def _read(path: Path) -> Standing:
    try:
        return from_another_version(Standing, path.read_bytes())
    except FileNotFoundError:
        return Standing()
    except (OSError, ValidationError) as error:
        log.warning("expected an order to drain in %s, and can't read it (%s): nothing drains", path, error)
        return Standing()


def _write(path: Path, standing: Standing) -> None:
    if not standing.itself.draining and not standing.service.draining:
        path.unlink(missing_ok=True)
        return
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o711)
    fresh = path.with_name(f"{path.name}.{os.getpid()}")
    fresh.write_text(standing.model_dump_json(), encoding="utf-8")
    fresh.replace(path)
