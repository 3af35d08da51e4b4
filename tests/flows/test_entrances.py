"""Every entrance refuses the same: names that are paths, settings that are not served, changes that a resume cannot make."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from flows.commands.operations import name_for, resume_run
from flows.services.ports import choose_ports
from flows.services.specs import service_specs
from flows.settings.checkout import DEFAULT_CONFIG, PROJECT
from flows.settings.loop_config import ConfigError, LoopConfig, load_config
from flows.settings.run_folder import RunFolder
from flows.starting.starting import asked_of, find_run, folder_for, place_of
from storage.errors import LoopError, RunFolderError, ServicesError
from storage.names import RunNameError, checked_name, free_name
from storage.stages import Stage, StageKey, StageReport

BAD_NAMES = [
    "../outside",
    "a/b",
    "/abs",
    "",
    ".",
    "..",
    ".hidden",
    "-x",
    "a b",
    "a\n",
    "a\0b",
    "é",
    "x" * 65,
    "x" * 5_000,
]


def finish_all(folder: RunFolder) -> None:
    for key in folder.schedule():
        finish(folder, key)


def finish(folder: RunFolder, key: StageKey) -> None:
    folder.finish(StageReport(stage=key.stage, iteration=key.iteration, seconds=1.0))


@pytest.mark.parametrize("name", BAD_NAMES)
def test_a_bad_name_is_refused_by_every_entrance(name: str, write_config, config: LoopConfig, tmp_path: Path) -> None:
    path = write_config()
    before = sorted(tmp_path.rglob("*"))
    entrances: list[Callable[[], object]] = [
        lambda: folder_for(path, [], name, flow_run_id="flow"),
        lambda: name_for(config, name),
        lambda: RunFolder.create(name, config),
    ]

    for entrance in entrances:
        with pytest.raises(RunNameError, match="a run's name begins with a letter or digit"):
            entrance()
    with pytest.raises(LoopError) as refused:
        find_run(name, path)

    assert len(str(refused.value)) < 800 and "\n" not in str(refused.value)
    assert sorted(tmp_path.rglob("*")) == before


def test_commands_refuse_a_path_as_a_name_before_anything_starts(refused, write_config, tmp_path: Path) -> None:
    path = write_config()

    assert refused("run", path, "--name", "../outside").startswith("a run's name begins with a letter or digit")
    for command in ("resume", "evaluate", "export", "compact", "monitor", "doctor"):
        assert refused(command, "../outside", "-c", path).startswith("no run in ")
        assert refused(command, "a b", "-c", path).startswith("a run's name begins with")
    assert not (tmp_path / ".rl-loop").exists() and not (tmp_path / "outside").exists()


def test_good_names_stay_and_a_numbered_one_fits(config: LoopConfig) -> None:
    longest = "x" * 64
    RunFolder.create(longest, config)

    assert checked_name(free_name(config.runs_dir, longest)) == "x" * 62 + "-2"
    assert checked_name("2026-11.a_b") == "2026-11.a_b"


def test_a_new_run_does_not_follow_a_link(config: LoopConfig, tmp_path: Path) -> None:
    config.runs_dir.mkdir()
    (config.runs_dir / "a").symlink_to(tmp_path / "outside")

    with pytest.raises(RunFolderError, match="is a link"):
        RunFolder.create("a", config)
    (config.runs_dir / "b").write_text("a file")
    with pytest.raises(RunFolderError, match=r"run b cannot be begun: .* cannot be written"):
        RunFolder.create("b", config)


def test_a_run_is_found_by_path_from_inside_its_folder_too(
    config: LoopConfig, write_config, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = RunFolder.create("a", config).root

    monkeypatch.chdir(root)
    assert find_run(".", None).root == root
    monkeypatch.chdir(root / "logs")
    assert find_run("..", None).name == "a"
    assert find_run("a", write_config()).root == root


def test_a_run_with_rounded_masters_is_read_and_goes_on_no_more(write_config, config: LoopConfig, rl_loop) -> None:
    """Earlier versions could train such runs."""
    rounded = config.model_copy(update={"update": config.update.model_copy(update={"dtype": "bfloat16"})})
    folder = RunFolder.create("rounded", rounded)
    finish(folder, next(folder.schedule()))
    path = write_config(update={"dtype": "bfloat16"})

    assert find_run(str(folder.root), None).config.update.dtype == "bfloat16"
    assert "1 of 8 stages finished" in rl_loop("doctor", folder.root).out
    for name in ("rounded", None):
        with pytest.raises(LoopError, match="bfloat16 would round the weights and Adam's moments"):
            folder_for(path, [], name, flow_run_id=None)
    assert [found.name for found in config.runs_dir.iterdir()] == ["rounded"]


def test_settings_that_are_not_served_are_refused_and_leave_nothing(
    write_config, config: LoopConfig, running_stack
) -> None:
    running_stack(config)
    asked = {
        "serving.max_model_len=2048": r"serving.max_model_len=16384 and not 2048",
        "serving.extra_args=[--seed, '1']": r"serving.extra_args=\[\] and not",
        "services.browser_slots=3": r"services.browser_slots=2 and not 3",
        "services.mlflow_port=4711": r"services.mlflow_port=\d+ and not 4711",
        "services.state_dir=/elsewhere": r"this worker belongs to the services of",
    }
    for override, sentence in asked.items():
        with pytest.raises(ServicesError, match=sentence):
            folder_for(write_config(), [override], "a", flow_run_id="flow", state_dir=config.services.state_dir)
    with pytest.raises(LoopError, match="there is no model directory /no/such"):
        folder_for(write_config(), ["policy.model=/no/such"], "a", flow_run_id="flow")
    assert not config.runs_dir.exists()


def test_what_the_server_does_not_get_may_differ(write_config, config: LoopConfig, running_stack) -> None:
    running_stack(config)
    overrides = ["serving.publish_deadline_s=77", "services.heal_s=5"]

    folder = folder_for(write_config(), overrides, "a", flow_run_id="flow")

    assert folder.config.serving.publish_deadline_s == 77 and folder.config.services.heal_s == 5


def test_a_flow_uses_the_services_of_its_own_worker(
    write_config, config: LoopConfig, running_stack, tmp_path: Path
) -> None:
    """The form's default file names other services than this worker's."""
    own = load_config(write_config(), [f"services.state_dir={tmp_path / 'own'}", "services.browser_slots=4"])
    status = running_stack(own)

    folder = folder_for(write_config(), [], "a", flow_run_id="flow", state_dir=tmp_path / "own")

    assert folder.config.services.state_dir == tmp_path / "own" and folder.config.services.browser_slots == 4
    assert status.service("mlflow").address.endswith(f":{folder.config.services.mlflow_port}")
    with pytest.raises(
        ConfigError, match=r"rollout\.concurrency=8 needs as many browsers, but services\.browser_slots=4"
    ):
        path = write_config(services={"browser_slots": 8}, rollout={"concurrency": 8})
        folder_for(path, [], "b", flow_run_id="flow", state_dir=tmp_path / "own")


def test_a_finished_run_is_made_longer(write_config, config: LoopConfig, running_stack) -> None:
    running_stack(config)
    folder = RunFolder.create("a", config)
    finish_all(folder)
    finished = {(report.iteration, report.stage) for report in folder.reports()}

    longer = folder_for(folder.root / "config.yaml", ["iterations=4", place_of(folder)], "a", flow_run_id="flow")

    assert RunFolder.open(folder.root).config.iterations == 4
    assert longer.next_stage() == StageKey(3, Stage.ROLLOUT)
    assert finished <= {(report.iteration, report.stage) for report in longer.reports()}
    finish_all(longer)
    assert [key for key in longer.schedule() if key.stage is Stage.EVALUATE] == [
        (0, "evaluate"),
        (2, "evaluate"),
        (4, "evaluate"),
    ]


def test_the_last_evaluation_before_a_run_grew_is_kept(write_config, running_stack) -> None:
    config = load_config(write_config(evaluate={"every": 3, "tasks": 3}, iterations=2))
    running_stack(config)
    folder = RunFolder.create("a", config)
    finish_all(folder)

    longer = folder_for(folder.root / "config.yaml", ["iterations=4"], "a", flow_run_id="flow")
    finish_all(longer)

    evaluated = [report.iteration for report in longer.reports() if report.stage is Stage.EVALUATE]
    assert evaluated == [0, 2, 3, 4]


def test_the_forms_default_file_goes_on_with_the_runs_own_configuration(
    write_config, config: LoopConfig, running_stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`run=NAME overrides=["iterations=5"]` is all that the form needs; configs/demo.yaml is only its default."""
    running_stack(config)
    finish_all(RunFolder.create("a", config))
    (tmp_path / "configs").mkdir()
    shutil.copy(write_config(seed=99), tmp_path / DEFAULT_CONFIG)
    (tmp_path / "prefect.yaml").touch()
    monkeypatch.chdir(tmp_path)

    longer = folder_for(DEFAULT_CONFIG, ["iterations=5"], "a", flow_run_id="flow")

    assert (longer.config.iterations, longer.config.seed) == (5, 0)
    with pytest.raises(RunFolderError, match=r"run a was started with seed=0 and not 99"):
        folder_for(write_config(seed=99), ["iterations=6"], "a", flow_run_id="flow")


def test_the_forms_default_file_looks_for_runs_where_the_services_have_them(
    write_config, config: LoopConfig, running_stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    running_stack(config)
    finish_all(RunFolder.create("a", config))
    monkeypatch.chdir(tmp_path)
    state_dir = config.services.state_dir

    longer = folder_for(DEFAULT_CONFIG, ["iterations=5"], "a", flow_run_id="flow", state_dir=state_dir)

    assert longer.root == config.runs_dir / "a" and longer.config.iterations == 5
    other = tmp_path / "other-model"
    shutil.copytree(config.policy.model, other)
    with pytest.raises(ServicesError, match=r"policy\.model='\S+/model' and not '\S+/other-model'"):
        folder_for(write_config(policy={"model": str(other)}), [], "b", flow_run_id="f", state_dir=state_dir)


def test_other_changes_are_refused_by_key_and_values(refused, write_config, config: LoopConfig) -> None:
    folder = RunFolder.create("a", config)
    before = (folder.root / "config.yaml").read_bytes()

    def sentence(*overrides: str) -> str:
        return refused("resume", folder.root, *overrides)

    assert sentence("seed=7").startswith("run a was started with seed=0 and not 7;")
    assert sentence("rollout.group_size=8", "iterations=9").startswith(
        "run a was started with rollout.group_size=2 and not 8;"
    )
    assert sentence("iterations=1").startswith("run a has iterations=2; a resume can raise that but not lower it to 1")
    assert sentence("iteration=4") == "iteration: unknown key; did you mean iterations?"
    assert (folder.root / "config.yaml").read_bytes() == before
    asked_of(
        folder,
        ["rollout.limits.model=1", "policy.update_deadline_s=9", "serving.start_deadline_s=9", "services.heal_s=1"],
    )


def test_an_earlier_start_may_be_retried_after_the_run_grew(write_config, config: LoopConfig, running_stack) -> None:
    running_stack(config)
    first = folder_for(write_config(), ["iterations=3"], "a", flow_run_id="first")
    folder_for(first.root / "config.yaml", ["iterations=5"], "a", flow_run_id="second")

    assert folder_for(write_config(), ["iterations=3"], "a", flow_run_id="first").config.iterations == 5
    assert folder_for(write_config(), [], "a", flow_run_id="third").config.iterations == 5
    with pytest.raises(RunFolderError, match="not lower it to 3"):
        folder_for(write_config(), ["iterations=3"], "a", flow_run_id="fourth")


def test_a_run_grows_only_while_nobody_writes_it(config: LoopConfig) -> None:
    folder = RunFolder.create("a", config)

    with folder.lock(), pytest.raises(RunFolderError, match="is being written by process"):
        folder.changed_to(asked_of(folder, ["iterations=9"]))
    assert RunFolder.open(folder.root).config.iterations == 2


def test_a_run_of_an_earlier_version_loads_and_grows(config: LoopConfig) -> None:
    """Its digest counted the iterations, and its config.yaml lacks the keys that came later."""
    from hashlib import sha256

    import yaml

    from flows.settings.loop_config import flatten

    folder = RunFolder.create("a", config)
    data = yaml.safe_load((folder.root / "config.yaml").read_text())
    del data["serving"]["publish_deadline_s"], data["judge"]
    (folder.root / "config.yaml").write_text(yaml.safe_dump(data))
    whole = flatten({key: value for key, value in data.items() if key not in ("services", "runs_dir")})
    digest = sha256(repr(sorted(whole.items())).encode()).hexdigest()
    folder.save_record(folder.record().model_copy(update={"config_sha256": digest}))
    old = RunFolder.open(folder.root)

    old.changed_to(asked_of(old, ["iterations=9", "services.heal_s=4"]))

    opened = RunFolder.open(folder.root)
    assert (opened.config.iterations, opened.config.services.heal_s) == (9, 4)


def test_a_folder_that_was_moved_is_resumed_where_it_is(
    write_config, config: LoopConfig, running_stack, tmp_path: Path
) -> None:
    running_stack(config)
    folder = RunFolder.create("a", config)
    (tmp_path / "archive here").mkdir()
    shutil.move(folder.root, tmp_path / "archive here" / "a")

    moved = find_run(str(tmp_path / "archive here" / "a"), None)
    again = folder_for(moved.root / "config.yaml", [place_of(moved)], "a", flow_run_id="flow")

    assert again.root == moved.root and not folder.root.exists()


def test_a_folder_with_another_kind_of_name_is_read_but_not_resumed_through_prefect(config: LoopConfig) -> None:
    folder = RunFolder.create("a", config)
    shutil.move(folder.root, folder.root.with_name("old run"))
    old = find_run(str(folder.root.with_name("old run")), None)

    with pytest.raises(RunNameError, match="found 'old run'"):
        resume_run(old)


def test_a_worker_runs_the_code_of_its_own_checkout(config: LoopConfig, tmp_path: Path) -> None:
    """A flow's process begins in a temporary folder: without the path it would import the checkout that is installed."""
    specs = {one.name: one for one in service_specs(config, choose_ports(config.services), tmp_path).services}
    program = "import os, sys; sys.path[0] = ''; os.chdir('/'); import flows; print(flows.__file__)"
    (tmp_path / "flows").mkdir()
    (tmp_path / "flows" / "__init__.py").touch()

    done = subprocess.run(
        [sys.executable, "-c", program],
        env=os.environ | specs["worker"].env,
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stdout.strip() == str(tmp_path / "flows" / "__init__.py")


def test_services_of_another_checkout_are_refused(
    refused, write_config, config: LoopConfig, running_stack, tmp_path: Path
) -> None:
    running_stack(config, checkout=tmp_path / "first")

    for command in (("up", "-c"), ("run",), ("demo", "-c")):
        sentence = refused(*command, write_config())
        assert f"run the code of {tmp_path / 'first'} " in sentence and f"but this is {PROJECT} " in sentence
        assert f"`rl-loop down services.state_dir={config.services.state_dir}`" in sentence
