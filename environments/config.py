"""The `environment` section of a run's configuration."""

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from browser_service.models import Isolation, Viewport
from browser_service.models.lease import Host as Address
from environments.bounds import MOST_HOSTS, Bounds, Hosts
from environments.horizons import HorizonConfig
from environments.hosts import BlockingConfig
from environments.miniwob.families import find_family
from environments.samplers import SamplerConfig, Uniform
from environments.taskfiles.huggingface import PREFIX


class TasksConfig(BaseModel):
    """Section `environment.tasks`: where the tasks of a live environment come from.

    Example: `{train: tasks/train.jsonl, heldout: "hf:microsoft/webgym_tasks#test"}`
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    train: str
    """A file (WebGym's JSONL, the dashboard's tasks.json, ours) or a Hugging Face dataset `hf:NAME#SPLIT`."""
    heldout: str
    """The same for evaluation. Rows that name their split count only there, so both may be one file."""
    start_url: str = ""
    """Where tasks begin that do not say so."""
    private_sites: Annotated[tuple[Address, ...], Field(max_length=64)] = ()
    """Private addresses that browsers may reach, such as `127.0.0.1:3000`; without them only the open web. A task cannot add any."""
    only_private_sites: bool = False
    """Nothing but `private_sites` is reached: the tasks are played without the open web."""
    max_steps: Annotated[int, Field(ge=1, le=1_000)] = 30
    """Step budget of tasks that do not say so; see also `environment.horizon`."""


class EnvironmentConfig(BaseModel):
    """Which environment is played and with which tasks. Example: `EnvironmentConfig(domains=("click-button",))`."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    name: Literal["miniwob", "live"] = "miniwob"
    domains: tuple[str, ...] = ()
    """Task families of the training rollouts, of an environment that makes its own tasks (miniwob)."""
    heldout_domains: tuple[str, ...] = ()
    """Task families of the evaluation; the training families when left out. Their seeds are always held-out ones."""
    tasks: TasksConfig | None = None
    """Files of tasks, of an environment that makes none (live)."""
    sampler: SamplerConfig = Uniform()
    """Which tasks a training iteration plays. Evaluation always plays the same ones, drawn uniformly."""
    horizon: HorizonConfig = HorizonConfig()
    """How many steps a task gets."""
    blocking: BlockingConfig = BlockingConfig()
    """Which sites training leaves alone."""
    blocked_hosts: Hosts = ()
    """Hosts that no browser of an episode reaches, their subdomains included: in training, evaluation and the Gymnasium
    environment. No task that begins there is drawn."""
    isolation: Isolation | None = None
    """`browser`: each episode gets a Chromium of its own, for sites that are not trusted; `context`: a context in a shared
    one; None: as the browser service was started."""
    viewport: Viewport | None = None
    """Size of the page in CSS pixels; without it what the environment is made for: 160x210 for MiniWoB++, 1280x720 for live."""

    @model_validator(mode="after")
    def check_tasks(self) -> Self:
        """The environment has tasks to play; every family exists and none is named twice."""
        if self.name == "miniwob" and (not self.domains or self.tasks is not None):
            raise ValueError("miniwob makes its own tasks: name task families in domains, and no tasks.")
        if self.name == "live" and (self.tasks is None or self.evaluation_domains):
            raise ValueError(
                "live plays the tasks of files: name them in tasks.train and tasks.heldout, and no domains."
            )
        for field, families in (("domains", self.domains), ("heldout_domains", self.heldout_domains)):
            for family in families:
                find_family(family)
            if len(set(families)) != len(families):
                raise ValueError(f"{field} names a task family twice: {', '.join(families)}.")
        return self

    @model_validator(mode="after")
    def check_reach(self) -> Self:
        """Something can be reached, and a lease has room for the hosts that cannot."""
        if self.tasks is not None and self.tasks.only_private_sites and not self.tasks.private_sites:
            raise ValueError(
                "tasks.only_private_sites leaves nothing to reach: name the addresses in tasks.private_sites."
            )
        if (count := len(self.blocked_hosts) + len(self.blocking.hosts)) > MOST_HOSTS:
            raise ValueError(
                f"blocked_hosts and blocking.hosts name {count} hosts, and a lease takes {MOST_HOSTS}; "
                "put them into a file that the browser service reads (BROWSER_SERVICE_BLOCKLIST)."
            )
        return self

    @property
    def bounds(self) -> Bounds:
        """What episodes may reach at most."""
        return Bounds(blocked_hosts=self.blocked_hosts, left_alone=self.blocking.hosts, isolation=self.isolation)

    @property
    def evaluation_domains(self) -> tuple[str, ...]:
        """The families that evaluation plays."""
        return self.heldout_domains or self.domains

    def below(self, root: Path) -> Self:
        """The same with the files of tasks meant from `root`."""
        if self.tasks is None:
            return self
        found = {
            split: source if source.startswith(PREFIX) else str((root / Path(source).expanduser()).absolute())
            for split, source in (("train", self.tasks.train), ("heldout", self.tasks.heldout))
        }
        return self.model_copy(update={"tasks": self.tasks.model_copy(update=found)})
