"""The `environment` section of a run's configuration."""

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from browser_service.models import Isolation, Viewport
from browser_service.models.lease import Host as Address
from environments.applications.metabase.config import MetabaseConfig
from environments.bounds import MOST_HOSTS, Bounds, Host, Hosts
from environments.horizons import HorizonConfig
from environments.hosts import BlockingConfig
from environments.miniwob.families import find_family
from environments.samplers import SamplerConfig, Uniform
from environments.taskfiles.huggingface import PREFIX

EnvironmentName = Literal[
    "miniwob",
    "live",
    "shop",
    "mediawiki",
    "metabase",
    "misago",
    "pretix",
    "redmine",
    "roundcube",
    "superset",
    "folder",
    "mix",
]
APPLICATIONS = ("shop", "mediawiki", "misago", "pretix", "redmine", "roundcube", "superset", "folder")
"""Environments whose families for training are not those of the evaluation."""
LISTENING = ("miniwob", "shop")
"""Environments whose pages browsers on another machine can reach."""
FROM_FILES = ("live", "metabase")
"""Environments that play the tasks of files."""


class TasksConfig(BaseModel):
    """Section `environment.tasks`: sources of the tasks of a live environment.

    Example: `{train: tasks/train.jsonl, heldout: "hf:microsoft/webgym_tasks#test"}`
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    train: str
    """A file (WebGym's JSONL, the dashboard's tasks.json, this project's JSONL) or a Hugging Face dataset
    `hf:NAME#SPLIT`."""
    heldout: str
    """Source for evaluation. A row with a split counts only in that split, so both sources may be one file."""
    start_url: str = ""
    """Start address of tasks without one."""
    private_sites: Annotated[tuple[Address, ...], Field(max_length=64)] = ()
    """Private addresses that browsers may reach, such as `127.0.0.1:3000`; by default only the open web. A task can't
    add any."""
    only_private_sites: bool = False
    """Only `private_sites` can be reached: the tasks are played without the open web."""
    logins: dict[Host, Path] = {}
    """Log-in profiles by host: storage-state files of Playwright, such as `{example.com: logins/me.json}`. The browser of
    an episode that begins there is signed in from its first page."""
    starts_per_minute: Annotated[float, Field(gt=0, le=6_000)] | None = None
    """Episodes that may begin on one host in a minute, in each shard; null: no limit."""
    max_steps: Annotated[int, Field(ge=1, le=1_000)] = 30
    """Step budget of tasks without one; see also `environment.horizon`."""


OF_SITES = {"private_sites", "only_private_sites", "logins", "starts_per_minute"}
"""Fields of `TasksConfig` that are about sites which run already."""


class PartConfig(BaseModel):
    """An environment and its tasks, alone or as a part of a mix."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    name: EnvironmentName = "miniwob"
    """`miniwob`: MiniWoB++. `live`: tasks of files on sites that run already. `metabase`: tasks of files on Metabase and
    Postgres in containers of their own, see `metabase`. `shop`: the bundled shop. After `rl-loop environments install NAME`:
    `mediawiki`, a wiki; `misago`, a forum; `pretix`, a ticket office; `redmine`, a project tracker; `roundcube`, mail;
    `superset`, charts and SQL. `folder`: an environment of one's own, see `folder`. `mix`: several of them, see `parts`."""
    folder: str = ""
    """Folder of an environment of one's own (docs/environments.md); its `environment.py` is run."""
    domains: tuple[str, ...] = ()
    """Task families of the training rollouts, for an environment that makes its own tasks. miniwob needs some; of an
    application all families for training are played by default."""
    heldout_domains: tuple[str, ...] = ()
    """Task families of the evaluation. By default: miniwob's training families, with held-out seeds; the held-out families
    of an application."""
    tasks: TasksConfig | None = None
    """Files of tasks, for an environment that makes none (live, metabase)."""
    metabase: MetabaseConfig | None = None
    """Images, dump and limits of the environment metabase."""
    canary_tasks: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Canaries of a training iteration, as a share of its episodes and beside them: tasks that nobody can do, each
    played once. They measure the judges and are never trained on; see `judge.canary_alarm`. miniwob makes them, a file
    marks them with `"canary": true`. Evaluations play none."""
    sampler: SamplerConfig = Uniform()
    """Choice of the tasks of a training iteration. Evaluation always plays the same ones, drawn uniformly."""
    horizon: HorizonConfig = HorizonConfig()
    """Number of steps of a task."""
    blocking: BlockingConfig = BlockingConfig()
    """Hosts that training does not visit."""
    blocked_hosts: Hosts = ()
    """Hosts that no browser of an episode can reach, their subdomains included: in training, evaluation and the
    Gymnasium environment. No task that begins there is drawn."""
    isolation: Isolation | None = None
    """`browser`: each episode has its own Chromium, for sites that are not trusted; `context`: a context in a shared
    one; None: the browser service's default."""
    viewport: Viewport | None = None
    """Size of the page in CSS pixels; by default the environment's: 160x210 for MiniWoB++, 1280x720 for live."""

    listen: Annotated[str, Field(pattern=r"^[A-Za-z0-9.-]{1,253}$")] = "127.0.0.1"
    """Address of this machine on which the pages of miniwob and shop are served, by which browsers on other machines reach
    them; their service needs BROWSER_SERVICE_EGRESS_ALLOW_PRIVATE=true. Pages have no password: a private network only."""

    share: Annotated[float, Field(gt=0, le=1e6)] = 1.0
    """Of a part of a mix: its share of the tasks, relative to the shares of the other parts."""

    @model_validator(mode="after")
    def check_tasks(self) -> Self:
        """Checks that the environment has tasks to play, that every family exists and that none is named twice."""
        if self.name == "miniwob" and (not self.domains or self.tasks is not None):
            raise ValueError("miniwob makes its own tasks: name task families in domains, and no tasks.")
        if self.name in FROM_FILES and (self.tasks is None or self.evaluation_domains):
            raise ValueError(
                f"{self.name} plays the tasks of files: name them in tasks.train and tasks.heldout, and no domains."
            )
        if self.name in APPLICATIONS and self.tasks is not None:
            raise ValueError(f"{self.name} makes its own tasks; remove tasks.")
        if self.name == "mix" and (self.tasks is not None or self.domains or self.heldout_domains):
            raise ValueError("a mix has no tasks of its own; put tasks and domains into its parts.")
        if (self.name == "metabase") != (self.metabase is not None):
            raise ValueError("metabase has images and a dump, with name: metabase; set both or neither.")
        if (self.name == "folder") != bool(self.folder):
            raise ValueError("folder names the environment of one's own, with name: folder; set both or neither.")
        for field, families in (("domains", self.domains), ("heldout_domains", self.heldout_domains)):
            for family in families if self.name == "miniwob" else ():
                find_family(family)
            if len(set(families)) != len(families):
                raise ValueError(f"{field} names a task family twice: {', '.join(families)}.")
        return self

    @model_validator(mode="after")
    def check_reach(self) -> Self:
        """Checks that a site can be reached, and that the blocked hosts fit a lease."""
        if self.name == "metabase" and self.tasks is not None and self.tasks.model_fields_set & OF_SITES:
            raise ValueError(
                f"the tasks of metabase are on its own containers; remove {', '.join(sorted(OF_SITES))} of tasks."
            )
        if self.listen != "127.0.0.1" and self.name not in (*LISTENING, "mix"):
            raise ValueError(
                f"listen={self.listen} is for {' and '.join(LISTENING)}; the pages of {self.name} are not served there: remove "
                "listen, or play the ranks on the machine of the browsers (rollout.ranks: workers)."
            )
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
        """Upper bound of the reach of episodes."""
        return Bounds(blocked_hosts=self.blocked_hosts, left_alone=self.blocking.hosts, isolation=self.isolation)

    @property
    def evaluation_domains(self) -> tuple[str, ...]:
        """Task families of the evaluation; empty for all held-out families of an application."""
        return self.heldout_domains or (() if self.name in APPLICATIONS else self.domains)

    def below(self, root: Path) -> Self:
        """Returns the configuration with the paths of task files and of the environment's folder relative to `root`."""
        if self.folder:
            return self.model_copy(update={"folder": str((root / Path(self.folder).expanduser()).absolute())})
        if self.tasks is None:
            return self
        metabase = self.metabase.below(root) if self.metabase else None
        found = {
            split: source if source.startswith(PREFIX) else str((root / Path(source).expanduser()).absolute())
            for split, source in (("train", self.tasks.train), ("heldout", self.tasks.heldout))
        }
        logins = {host: (root / file.expanduser()).absolute() for host, file in self.tasks.logins.items()}
        tasks = self.tasks.model_copy(update=found | {"logins": logins})
        return self.model_copy(update={"tasks": tasks, "metabase": metabase})


MIXED = ("sampler", "horizon", "blocking", "blocked_hosts", "isolation", "viewport", "listen")
"""Fields that a part of a mix has from the mix unless it sets them itself."""


class EnvironmentConfig(PartConfig):
    """Section `environment`. Example: `EnvironmentConfig(domains=("click-button",))`."""

    parts: Annotated[tuple[PartConfig, ...], Field(max_length=16)] = ()
    """Environments of a mix, each with its share of the tasks, such as `[{name: shop}, {name: misago, share: 2}]`. A part
    has sampler, horizon, blocking, blocked_hosts, isolation, viewport and listen of the mix unless it sets them."""

    @model_validator(mode="after")
    def check_parts(self) -> Self:
        """Checks that a mix has parts, nothing else has any, and that their settings hold together."""
        if (self.name == "mix") != bool(self.parts):
            raise ValueError("parts are the environments of a mix, with name: mix; set both or neither.")
        if any(part.name == "mix" for part in self.parts):
            raise ValueError("a mix can't be a part of a mix; list its parts instead.")
        names = [part.name for part in self.parts if part.name != "folder"]
        if len(set(names)) != len(names):
            raise ValueError(f"a mix has each environment once, found {', '.join(names)}.")
        if "miniwob" in names and len(self.parts) > 1 and self.viewport is None:
            raise ValueError("the pages of miniwob have another size than those of the other parts; set viewport.")
        if self.name == "mix":
            _ = self.members  # raises for settings of the mix that a part can't have
        return self

    @property
    def members(self) -> tuple["EnvironmentConfig", ...]:
        """The configurations of a mix's parts, with what they have from the mix; itself if it is no mix."""
        if self.name != "mix":
            return (self,)
        given = {name: getattr(self, name) for name in MIXED if name in self.model_fields_set}
        return tuple(
            EnvironmentConfig.model_validate(given | {name: getattr(part, name) for name in part.model_fields_set})
            for part in self.parts
        )

    @property
    def ends_blocked_episodes(self) -> bool:
        """True if episodes end at a page that refuses the visit."""
        is_on = self.blocking.end_episodes
        return any(part.name == "live" for part in self.members) if is_on is None else is_on

    def below(self, root: Path) -> Self:
        """Returns the configuration with the paths of task files and of the environment's folder relative to `root`."""
        parts = tuple(part.below(root) for part in self.parts)
        return super().below(root).model_copy(update={"parts": parts})
