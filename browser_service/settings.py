"""Settings of the service, read once from environment variables `BROWSER_SERVICE_*` and command line overrides.

Example: `BROWSER_SERVICE_SLOTS=8 BROWSER_SERVICE_PORT=7001 browser-service up`.
"""

import ipaddress
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, ValidationError, model_validator

from browser_service.models import Isolation, Viewport

PREFIX = "BROWSER_SERVICE_"
WEAKEST_KEY = 16
"""Characters of a tier key."""
Seconds = Annotated[float, Field(gt=0, le=3_600, allow_inf_nan=False)]
_Listed = BeforeValidator(lambda value: value.split(",") if isinstance(value, str) else value)
Ports = Annotated[frozenset[Annotated[int, Field(ge=1, le=65_535)]], _Listed]
Hosts = Annotated[tuple[Annotated[str, Field(min_length=1)], ...], _Listed]


class SettingsError(ValueError):
    """A setting is unknown or wrong. The message is one sentence and names the environment variable."""


def default_state_dir() -> Path:
    """One folder per user under the system's temporary folder; each running service has its own folder in it.

    Raises `SettingsError` when another user was there first, who could read and change what the service keeps in it.
    """
    folder = Path(tempfile.gettempdir()) / f"browser-service-{os.getuid()}"
    if os.path.lexists(folder) and folder.lstat().st_uid != os.getuid():
        raise SettingsError(
            f"{folder} belongs to another user: remove it, or set {PREFIX}STATE_DIR to a folder of yours"
        )
    return folder


class Settings(BaseModel):
    """Everything that can be set. Field `port` is the variable `BROWSER_SERVICE_PORT`, and so on."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    host: Annotated[str, Field(min_length=1)] = "127.0.0.1"
    """Address to listen on. Anything but a loopback address needs an api key."""
    port: Annotated[int, Field(ge=1, le=65_535)] = 7000
    advertise_host: Annotated[str, Field(min_length=1)] | None = None
    """Name or address under which clients and the other tiers reach this machine. None: `host`, unless that is all
    addresses (`0.0.0.0`)."""
    node_url: str | None = None
    """Of an instance: address of the node that started it. None: the process is its own node."""
    master_url: str | None = None
    """Of a node: address of the master that gives out its slots; several, with commas, share one Redis. None: it does so itself."""
    slots: Annotated[int, Field(ge=1, le=256)] = 4
    """Leases at the same time: each is a browser context of about 70 MB."""
    api_key: SecretStr | None = None
    """When set, every route but /healthz and /readyz wants it in the header `x-api-key`."""
    tier_key: SecretStr | None = None
    """What master, nodes and instances know one another by, and sign lease tokens with; the same for all of a service.
    None: made at random by the process that starts the others, or kept in `state_dir` for those that were started by hand."""
    chromium: Path | None = None
    """Browser executable; default: the first one found on the PATH, then Playwright's own."""
    viewport_width: Annotated[int, Field(ge=32, le=4_096)] = 1280
    viewport_height: Annotated[int, Field(ge=32, le=4_096)] = 768
    allow_unsandboxed: bool = False
    """Run Chromium with --no-sandbox where its sandbox can't be had. Only for pages that you trust."""
    sandbox_uid: Annotated[int, Field(ge=1)] = 65_534
    """User id that Chromium runs under when the service itself runs as root."""
    state_dir: Path = Field(default_factory=default_state_dir)
    """Holds one folder per running service: profiles and temporary files, removed when it stops."""
    isolation: Isolation = "context"
    """For leases that don't say: `context` shares one Chromium, for sites of one's own; `browser` gives each lease one of its
    own, for the open web."""
    warm: Annotated[int, Field(ge=0, le=64)] = 4
    """Fresh sessions that are kept open ahead of their leases, where slots are free."""
    sessions_per_chromium: Annotated[int, Field(ge=1, le=256)] = 4
    """Sessions that share one Chromium at the most: so many leases end when one dies. Each further Chromium costs about 85 MB."""
    shared_leases: Annotated[int, Field(ge=1)] = 500
    """Leases after which the shared Chromium is replaced; those that it still has go on."""
    own_leases: Annotated[int, Field(ge=1)] = 20
    """Leases, one after the other and each in a fresh context, after which a Chromium of isolation `browser` is replaced."""
    chromium_memory_mb: Annotated[int, Field(ge=100)] = 600
    """Proportional memory that a Chromium may use by itself. With that of its sessions it is the mark beyond which it
    is replaced when a lease ends; at twice as much it is killed."""
    session_memory_mb: Annotated[int, Field(ge=50)] = 300
    """Proportional memory that each session adds to the mark."""
    renderer_memory_mb: Annotated[int, Field(ge=100)] = 1_200
    """Resident memory beyond which one renderer is killed: the lease that it works for is lost, and no other."""
    heap_mb: Annotated[int, Field(ge=64)] = 512
    """JavaScript heap of one page."""
    launch_deadline_s: Seconds = 30.0
    """Start of Chromium, and of a session in it."""
    call_deadline_s: Seconds = 15.0
    """One call into the browser, after which the session is closed and its lease lost."""
    close_deadline_s: Seconds = 5.0
    navigation_deadline_s: Seconds = 20.0
    """How long a page may take from its address to its first complete document."""
    settle_cap_s: Seconds = 4.0
    """How long to wait for a page that never becomes quiet."""
    settle_quiet_ms: Annotated[int, Field(ge=0, le=5_000)] = 50
    """A page is quiet when its document has not changed for this long."""
    reap_interval_s: Seconds = 0.5
    report_interval_s: Seconds = 1.0
    """How often an instance tells its node, and a node its master, what it holds; an end is told at once."""
    place_ttl_s: Seconds = 5.0
    """An instance that has not reported for this long is gone, and its leases are lost."""
    down_shown_s: Seconds = 600.0
    """How long a node or master that says nothing is shown as down. After that it is forgotten, and its leases count as lost."""
    forward_deadline_s: Seconds = 120.0
    """How long a call that is passed on to an instance may take."""
    drain_deadline_s: Annotated[float, Field(ge=0, le=86_400)] = 2.0
    """After SIGTERM: how long running leases may go on before the service stops. Longer for rolling upgrades; Ctrl+C stops
    at once, and so does a second SIGTERM."""
    max_tabs: Annotated[int, Field(ge=1, le=50)] = 5
    """Open tabs of one session; the oldest popup is closed when a page opens more."""
    queue_limit: Annotated[int, Field(ge=1, le=100_000)] = 1_000
    """Requests that may wait for a slot; more are answered 429."""
    queue_limit_per_share: Annotated[int, Field(ge=1, le=100_000)] = 250
    """Of these, requests of one share."""
    redis_url: SecretStr | None = None
    """Keeps the leases in Redis, for several masters: `redis://:password@host:6379/0`, `rediss://`, `unix:///path/socket`.
    None: in the memory of the one master."""
    redis_deadline_s: Seconds = 2.0
    """How long an answer of Redis may take before new leases are refused with 503."""
    body_limit_bytes: Annotated[int, Field(ge=1_024)] = 1_000_000
    egress: bool = True
    """Whether browsers reach the network only through our own proxy. Off: pages reach whatever this machine reaches."""
    egress_allow_private: bool | None = None
    """Whether leases may name private addresses in `sites`. None: yes for a service that only this machine can reach."""
    egress_sites: Hosts = ()
    """Private addresses that every lease may reach, such as `127.0.0.1:8000,10.0.0.7:80`: for clients that can't name them."""
    egress_ports: Ports = frozenset()
    """Ports of public hosts besides 80 and 443, such as `8080,8443`."""
    control_ports: Ports = frozenset()
    """Ports of this machine that no page reaches, even if its lease names them, besides those of the process itself and of
    the servers that it talks to. Whoever starts several processes sets those of the others; add what else is nobody's."""
    egress_max_bytes: Annotated[int, Field(ge=1)] | None = None
    """Traffic of one lease in both directions, after which it reaches nothing more."""
    egress_connect_s: Seconds = 10.0
    """How long resolving a host and connecting to it may take."""
    files_dir: Path | None = None
    """Folder with a folder of files for each task that uploads some (`LeaseRequest.files`). None: nothing can be uploaded."""
    download_file_bytes: Annotated[int, Field(ge=1)] = 100_000_000
    """Largest download of a lease that asked for downloads."""
    download_lease_bytes: Annotated[int, Field(ge=1)] = 512_000_000
    download_files: Annotated[int, Field(ge=1, le=10_000)] = 64
    artifact_retention_s: Annotated[float, Field(ge=0, le=86_400)] = 600.0
    """How long films, traces, downloads and pictures can be fetched after the end of their lease."""
    blob_budget_bytes: Annotated[int, Field(ge=0)] = 256_000_000
    """Disk space for pictures that are fetched by reference; the longest unused go first."""
    ca_file: Path | None = None
    """PEM file of certificate authorities that clients of an https address trust, besides those of the system."""
    blocklist: Path | None = None
    """File of hosts that no lease reaches: one per line, with their subdomains."""

    @property
    def viewport(self) -> Viewport:
        """Viewport of leases that don't ask for another."""
        return Viewport(width=self.viewport_width, height=self.viewport_height)

    @property
    def url(self) -> str:
        """Address of this process for clients and for the other tiers."""
        return self.address_of(self.port)

    def address_of(self, port: int) -> str:
        """Address of a process of this machine."""
        host = self.advertise_host or self.host
        return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

    def require_address(self) -> None:
        """For a process that tells others where it is. Raises `SettingsError` when it would name every machine, and none."""
        if is_unspecified(self.advertise_host or self.host):
            raise SettingsError(
                f"host {self.advertise_host or self.host!r} leads every client to itself: set {PREFIX}ADVERTISE_HOST to the "
                "name or address under which others reach this machine"
            )

    @property
    def node_name(self) -> str:
        """The `node` of its leases on the wire."""
        return self.node_url or self.url

    @property
    def leases_may_name_private_sites(self) -> bool:
        """`egress_allow_private`, or what follows from the address when it is not set."""
        return is_loopback(self.host) if self.egress_allow_private is None else self.egress_allow_private

    @model_validator(mode="after")
    def _exposed_only_with_a_key(self) -> "Settings":
        if not is_loopback(self.host) and self.api_key is None:
            raise ValueError(
                f"host {self.host!r} can be reached from other machines: set {PREFIX}API_KEY, or listen on 127.0.0.1"
            )
        if self.api_key is not None and not self.api_key.get_secret_value():
            raise ValueError(f"{PREFIX}API_KEY is empty: give it a value or unset it")
        if self.tier_key is not None and len(self.tier_key.get_secret_value()) < WEAKEST_KEY:
            raise ValueError(f"{PREFIX}TIER_KEY is too short: at least {WEAKEST_KEY} random characters are wanted")
        return self


def read_settings(environment: Mapping[str, str], **overrides: Any) -> Settings:
    """Settings from environment variables; `overrides` that are not None win.

    Raises `SettingsError` for an unknown `BROWSER_SERVICE_` variable or a value out of range.
    """
    found = {name.removeprefix(PREFIX).lower(): value for name, value in environment.items() if name.startswith(PREFIX)}
    # An empty variable counts as unset, except for the key: there it would quietly open the service.
    found = {name: value for name, value in found.items() if value or name == "api_key"}
    values = found | {name: value for name, value in overrides.items() if value is not None}
    try:
        return Settings.model_validate(values)
    except ValidationError as error:
        raise SettingsError(_first_sentence(error)) from None


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach the address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def is_unspecified(host: str) -> bool:
    """Whether it stands for all addresses of whoever uses it: `0.0.0.0`, `::`."""
    try:
        return ipaddress.ip_address(host).is_unspecified
    except ValueError:
        return False


def stays_here(host: str) -> bool:
    """Whether whoever dials the host dials their own machine: another one may have something else there."""
    return is_loopback(host) or is_unspecified(host)


def _first_sentence(error: ValidationError) -> str:
    first = error.errors()[0]
    field = str(first["loc"][0]) if first["loc"] else ""
    if first["type"] == "extra_forbidden":
        known = ", ".join(sorted(name.upper() for name in Settings.model_fields))
        return f"unknown setting {PREFIX}{field.upper()}; known after {PREFIX}: {known}"
    if not field:
        return first["msg"].removeprefix("Value error, ")
    return f"setting {field} ({PREFIX}{field.upper()}) is {first['input']!r}: {first['msg'].lower()}"
