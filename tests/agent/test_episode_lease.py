"""The lease request of an episode, as the browser service parses it."""

from typing import Any, cast

from episode_record import VIEWPORT

from agent.config import AgentConfig, RecordConfig
from agent.episodes.episode_lease import EpisodeLease
from agent.limits import Gates
from agent.types import Reach, Task
from browser_service.models import LeaseRequest, Recording
from storage.store import TrajectoryStore

TASK = Task(id="t1", environment="live")


def asked(
    config: AgentConfig,
    reach: Reach = Reach(),  # noqa: B008
    store: TrajectoryStore | None = None,
    task: Task = TASK,
) -> LeaseRequest:
    recording = store.begin("e1") if store else None
    lease = EpisodeLease("e1", task, cast(Any, None), VIEWPORT, config, "word", recording, Gates())
    return LeaseRequest.model_validate(lease.options(reach))


def test_a_lease_carries_all_that_an_environment_says() -> None:
    reach = Reach(sites=("127.0.0.1:1",), only_sites=True, blocked_hosts=("ads.test",), isolation="browser")
    request = asked(AgentConfig(lease_wait_s=7), reach)
    assert {name: getattr(request, name) for name in Reach.model_fields} == {
        "sites": ["127.0.0.1:1"],
        "only_sites": True,
        "blocked_hosts": ["ads.test"],
        "isolation": "browser",
    }
    assert (request.owner, request.viewport, request.reuse, request.wait_s) == ("e1", VIEWPORT, "word", 7)


def test_no_lease_ends_before_its_episode_may() -> None:
    """One with hours to go, or one that is held while the policy is updated."""
    config = AgentConfig(episode_deadline_s=20_000)
    assert asked(config).max_lifetime_s > config.episode_deadline_s


def test_only_what_a_rule_keeps_is_recorded(tmp_path: Any) -> None:
    store = TrajectoryStore(tmp_path)
    assert asked(AgentConfig(), store=store) == asked(AgentConfig()), "off costs nothing"
    films = AgentConfig(record=RecordConfig(video="failures"))
    assert asked(films, store=store).record == Recording(video=True)
    assert asked(films).record == Recording(), "there is no place for it"


def test_requests_are_recorded_for_the_tasks_that_need_them(tmp_path: Any) -> None:
    store = TrajectoryStore(tmp_path)
    about = TASK.model_copy(update={"expect": {"kind": "network", "must": [{}]}})
    among = TASK.model_copy(update={"expect": {"kind": "all", "each": [{"kind": "text"}, {"kind": "network"}]}})
    for task, rule, network in (
        (TASK, "expected", False),
        (about, "expected", True),
        (among, "expected", True),
        (about, "none", False),
        (TASK, "all", True),
    ):
        config = AgentConfig(record=RecordConfig.model_validate({"network": rule}))
        assert asked(config, store=store, task=task).record == Recording(network=network)
