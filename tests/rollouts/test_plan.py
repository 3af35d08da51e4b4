"""The plan of a stage: drawn once, kept, and unchanged between versions for the default sampler."""

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml
from filelock import FileLock

from environments.history import Outcome
from environments.miniwob import MiniWob
from environments.sampling import sample_tasks
from flows.settings.loop_config import ConfigError, LoopConfig, load_config, parse_config
from flows.settings.run_folder import RunFolder
from rollouts.plan import Group, draw_groups, extend_plan, history_of, plan, plan_file, planned_groups, read_plan
from rollouts.task_history import OUTCOMES
from storage.atomic import write_atomically
from storage.errors import RunFolderError
from storage.stages import Stage

NOW = datetime.now(UTC).isoformat()


def finish_iteration(folder: RunFolder, iteration: int, *outcomes: Outcome) -> None:
    """The files that a judge stage writes."""
    directory = folder.stage_dir(iteration, Stage.JUDGE)
    directory.mkdir(parents=True)
    write_atomically(directory / OUTCOMES, "".join(f"{one.model_dump_json()}\n" for one in outcomes).encode())


def outcome(task: str, family: str, *, successes: int, iteration: int = 1, **more: object) -> Outcome:
    fields = {"task": task, "family": family, "iteration": iteration, "attempts": 8, "judged": 8, "at": NOW}
    return Outcome.model_validate(fields | {"successes": successes} | more)


@pytest.mark.parametrize("iteration", [0, 1, 7])
def test_the_default_draws_what_it_always_drew(config: LoopConfig, iteration: int) -> None:
    families = config.environment.domains
    train = sample_tasks(MiniWob(), families, split="train", count=2, seed=config.seed, iteration=iteration)
    heldout = sample_tasks(
        MiniWob(), families, split="heldout", count=3, seed=config.evaluate.seed, iteration=iteration
    )
    assert [group.task for group in draw_groups(config.rollout_settings(), iteration, Stage.ROLLOUT)] == train
    assert [group.task for group in draw_groups(config.rollout_settings(), iteration, Stage.EVALUATE)] == heldout


def test_ids_and_groups(config: LoopConfig) -> None:
    slots = plan(RunFolder.create("a", config).inputs, 1, Stage.ROLLOUT)
    name = slots[0].task.id
    assert [slot.trajectory_id for slot in slots[:2]] == [f"i0001-{name}-m00", f"i0001-{name}-m01"]
    assert [slot.group for slot in slots[:2]] == [f"i0001-{name}"] * 2
    assert len(slots) == 4 and {slot.iteration for slot in slots} == {1}


def test_a_plan_is_replayed_whatever_is_measured_later(write_config) -> None:
    config = load_config(write_config(), ["environment.sampler={kind: pools, min_judged: 1}"])
    folder = RunFolder.create("a", config)
    before = plan(folder.inputs, 2, Stage.ROLLOUT)
    finish_iteration(folder, 1, outcome("x", "click-test", successes=4), outcome("y", "click-button", successes=8))
    assert plan(folder.inputs, 2, Stage.ROLLOUT) == before
    plan_file(folder, 2, Stage.ROLLOUT).unlink()
    after = plan(folder.inputs, 2, Stage.ROLLOUT)
    # One family is solved, the other succeeds half of the time.
    assert [slot.task.domain for slot in after] == ["click-test"] * 4
    assert after != before


def test_a_damaged_plan_is_one_sentence(config: LoopConfig) -> None:
    folder = RunFolder.create("a", config)
    plan(folder.inputs, 1, Stage.ROLLOUT)
    plan_file(folder, 1, Stage.ROLLOUT).write_text('{"group": "x"}\n')
    with pytest.raises(RunFolderError, match=r"plan\.jsonl is damaged"):
        plan(folder.inputs, 1, Stage.ROLLOUT)


def test_a_plan_can_be_extended_by_other_tasks(config: LoopConfig) -> None:
    folder = RunFolder.create("a", config)
    before = plan(folder.inputs, 1, Stage.ROLLOUT)
    added = extend_plan(folder.inputs, 1, 3, rank=1, why="ahead")
    more = [slot for group in added for slot in group.slots(1)]
    assert len(more) == 6
    assert not {slot.task.id for slot in more} & {slot.task.id for slot in before}
    assert plan(folder.inputs, 1, Stage.ROLLOUT) == [*before, *more]


@pytest.fixture
def live(write_config, tmp_path: Path) -> LoopConfig:
    """A run on 12 tasks of 3 sites; the file also has two held-out ones."""
    tasks = tmp_path / "tasks.jsonl"
    rows = [
        {"id": f"t{n}", "task": f"Do {n}.", "start_url": f"https://s{n % 3}.example/", "difficulty": 1 + n % 2}
        for n in range(12)
    ]
    rows += [{"id": f"h{n}", "task": "x", "start_url": "https://s0.example/", "split": "heldout"} for n in range(2)]
    tasks.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    heldout = tmp_path / "heldout.jsonl"
    heldout.write_text("".join(f"{json.dumps(row)}\n" for row in rows[-2:]))
    environment = {"name": "live", "tasks": {"train": str(tasks), "heldout": str(heldout)}}
    rollout = {"groups_per_iteration": 4, "group_size": 2, "concurrency": 2, "shards": 2}
    return load_config(write_config(environment=environment, rollout=rollout, evaluate={"tasks": 2}))


def test_ranks_that_extend_a_plan_at_the_same_time_lose_no_group(config: LoopConfig) -> None:
    """Threads stand for the processes: the lock is one of open files."""
    folder = RunFolder.create("many", config)
    begun = planned_groups(folder.inputs, 1, Stage.ROLLOUT)

    def extend(rank: int) -> list[Group]:
        return [one for _ in range(6) for one in extend_plan(folder.inputs, 1, 1, rank=rank, why="ahead")]

    with ThreadPoolExecutor(4) as ranks:
        added = list(ranks.map(extend, range(4)))
    groups = read_plan(folder, 1, Stage.ROLLOUT) or []
    assert [one for one in groups if not one.extra] == begun
    assert len({one.group for one in groups}) == len(groups) == len(begun) + 24
    for rank, mine in enumerate(added):
        assert [one for one in groups if one.extra and one.rank == rank] == mine


def test_a_plan_that_stays_locked_is_a_sentence(config: LoopConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = RunFolder.create("locked", config)
    planned_groups(folder.inputs, 1, Stage.ROLLOUT)
    monkeypatch.setattr("rollouts.plan.LOCK_S", 0.1)
    lock = folder.stage_dir(1, Stage.ROLLOUT) / "plan.lock"
    with FileLock(lock), pytest.raises(ValueError, match=r"another process has held .*plan\.lock for 0\.1 s"):
        extend_plan(folder.inputs, 1, 1, rank=0, why="ahead")


def test_a_file_is_played_whole_before_a_task_comes_again(live: LoopConfig) -> None:
    folder = RunFolder.create("a", live)
    drawn = [{slot.task.id for slot in plan(folder.inputs, iteration, Stage.ROLLOUT)} for iteration in (1, 2, 3)]
    assert set.union(*drawn) == {f"t{n}" for n in range(12)}
    assert not history_of(folder, before=3).submissions.keys() & drawn[2]
    assert plan(folder.inputs, 4, Stage.ROLLOUT)
    evaluated = [{slot.task.id for slot in plan(folder.inputs, iteration, Stage.EVALUATE)} for iteration in (0, 4)]
    assert evaluated == [{"h0", "h1"}] * 2


def test_a_host_that_turns_agents_away_is_left_alone_in_training_only(live: LoopConfig) -> None:
    folder = RunFolder.create("a", live)
    finish_iteration(folder, 1, outcome("t0", "", successes=0, host="s0.example", blocked=8))
    assert {slot.task.start_url for slot in plan(folder.inputs, 2, Stage.ROLLOUT)} <= {
        "https://s1.example/",
        "https://s2.example/",
    }
    assert len(plan(folder.inputs, 2, Stage.EVALUATE)) == 2


def test_measured_success_decides_which_tasks_of_a_file_come(live: LoopConfig) -> None:
    config = live.model_copy(
        update={
            "environment": type(live.environment).model_validate(
                live.environment.model_dump()
                | {"sampler": {"kind": "pools", "weights": {"learning": 1, "new": 0, "unsolved": 0, "solved": 0}}}
            )
        }
    )
    folder = RunFolder.create("a", config)
    finish_iteration(folder, 1, *(outcome(f"t{n}", "", successes=4 if n < 4 else 8) for n in range(12)))
    assert {slot.task.id for slot in plan(folder.inputs, 2, Stage.ROLLOUT)} == {"t0", "t1", "t2", "t3"}


CURRICULA = {
    "target": "{kind: target, half_life: 0.5, min_judged: 1}",
    "progress": "{kind: progress, recent: 0.5, earlier: 50, staleness: 0}",
}


def judged_twice(folder: RunFolder, **successes: tuple[int, int]) -> None:
    """Long ago and lately, by task (or family): successes of 80 episodes and of 8."""
    for iteration, judged, which in ((1, 80, 0), (4, 8, 1)):
        many = {"iteration": iteration, "judged": judged, "attempts": judged}
        results = [
            outcome(name, name, successes=pair[which], **many)  # tasks go by their id, generated ones by their family
            for name, pair in successes.items()
        ]
        finish_iteration(folder, iteration, *results)


@pytest.mark.parametrize(
    ("kind", "wanted", "others"),
    [
        # Lately half of them succeed; counted equally, all the old successes would hide that, and show it for the others.
        ("target", (80, 4), (40, 8)),
        # What has changed, and not what is half solved for good.
        ("progress", (0, 8), (40, 4)),
        ("progress", (80, 0), (80, 8)),
    ],
)
def test_a_curriculum_decides_which_tasks_of_a_file_come(
    live: LoopConfig, kind: str, wanted: tuple[int, int], others: tuple[int, int]
) -> None:
    folder = RunFolder.create("a", sampled(live, kind))
    judged_twice(folder, **{f"t{n}": wanted if n % 3 == 1 else others for n in range(12)})
    assert {group.task.id for group in planned_groups(folder.inputs, 5, Stage.ROLLOUT)} == {"t1", "t4", "t7", "t10"}


@pytest.mark.parametrize(
    ("kind", "wanted", "other"),
    [("target", (80, 4), (40, 8)), ("progress", (0, 8), (40, 4)), ("progress", (80, 0), (8, 1))],
)
def test_a_curriculum_decides_which_families_come(
    write_config, kind: str, wanted: tuple[int, int], other: tuple[int, int]
) -> None:
    config = load_config(write_config(), ["rollout.groups_per_iteration=8", f"environment.sampler={CURRICULA[kind]}"])
    for name, families in (("a", ("click-test", "click-button")), ("b", ("click-button", "click-test"))):
        folder = RunFolder.create(name, config)
        judged_twice(folder, **dict(zip(families, (wanted, other), strict=True)))
        played = [group.task.domain for group in planned_groups(folder.inputs, 5, Stage.ROLLOUT)]
        assert played.count(families[0]) >= 6, "most of the tasks are of the family that is wanted"
        held_out = planned_groups(folder.inputs, 5, Stage.EVALUATE)
        assert held_out == planned_groups(RunFolder.create(f"{name}-new", config).inputs, 5, Stage.EVALUATE)


def sampled(config: LoopConfig, kind: str) -> LoopConfig:
    """The configuration with this curriculum."""
    data = config.environment.model_dump() | {"sampler": yaml.safe_load(CURRICULA[kind])}
    return config.model_copy(update={"environment": type(config.environment).model_validate(data)})


def test_no_task_is_drawn_on_a_host_that_no_browser_reaches(live: LoopConfig) -> None:
    """Evaluation included, other than for the hosts that training leaves alone."""
    assert live.environment.tasks is not None
    heldout = Path(live.environment.tasks.heldout)
    heldout.write_text(heldout.read_text().replace("s0.example", "deep.s1.example", 1))
    config = parse_config(
        live.model_dump()
        | {"environment": live.environment.model_dump() | {"blocked_hosts": ["s1.example"]}}
        | {"evaluate": {"tasks": 1}},
        root=Path("/"),
    )
    folder = RunFolder.create("a", config)
    drawn = {slot.task.start_url for iteration in (1, 2, 3) for slot in plan(folder.inputs, iteration, Stage.ROLLOUT)}
    assert drawn == {"https://s0.example/", "https://s2.example/"}
    assert [slot.task.id for slot in plan(folder.inputs, 0, Stage.EVALUATE)] == ["h1"]


@pytest.mark.parametrize(
    ("override", "sentence"),
    [
        ("environment.sampler={kind: best}", "environment.sampler"),
        ("environment.sampler={kind: ratio, weights: {easy: 1}}", "Expected a number or a band"),
        ("environment.horizon={by_difficulty: {1-3: 10, 2: 5}}", "The bands 1-3 and 2 overlap"),
        ("environment.tasks={train: a, heldout: b}", "miniwob makes its own tasks"),
        ("environment.name=live", "live plays the tasks of files"),
        ("environment.blocking.hosts=[http://x]", "environment.blocking.hosts"),
        ("environment.blocked_hosts=[a..b]", "environment.blocked_hosts.*expected a host"),
        ("environment.blocked_hosts=[1.2.3.999]", "environment.blocked_hosts"),
        ("environment.isolation=tab", "environment.isolation"),
        (f"environment.blocked_hosts={[f'h{n}.test' for n in range(1_001)]}", "environment.blocked_hosts"),
        (
            f"environment={{domains: [click-test], blocked_hosts: {[f'a{n}.test' for n in range(600)]}, "
            f"blocking: {{hosts: {[f'b{n}.test' for n in range(600)]}}}}}",
            "1200 hosts, and a lease takes 1000.*BROWSER_SERVICE_BLOCKLIST",
        ),
        (
            "environment={name: live, tasks: {train: a, heldout: b, only_private_sites: true}}",
            "leaves nothing to reach",
        ),
        ("environment={name: live, tasks: {train: a, heldout: b, private_sites: ['http://x/']}}", "private_sites"),
        ("agent.record.video=some", "agent.record.video"),
    ],
)
def test_mistakes_in_the_configuration_are_sentences(write_config, override: str, sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        load_config(write_config(), [override])


def test_a_missing_file_of_tasks_is_refused_before_anything_starts(live: LoopConfig) -> None:
    from flows.starting.preflight import PreflightError, tasks

    assert tasks(live) == "8 training episodes per iteration, 2 held-out ones"
    assert live.environment.tasks is not None
    Path(live.environment.tasks.heldout).unlink()
    with pytest.raises(PreflightError, match="environment: there is no task file"):
        tasks(live)


def test_no_plan_is_none(config: LoopConfig) -> None:
    assert read_plan(RunFolder.create("a", config), 1, Stage.ROLLOUT) is None
