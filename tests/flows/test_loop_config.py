"""Every mistake in a configuration is one sentence that names the place, before anything is started."""

from pathlib import Path

import pytest
import yaml
from loop_configs import WriteConfig

from flows.settings.loop_config import ConfigError, LoopConfig, dump_config, flatten, load_config, parse_config


def test_relative_paths_are_meant_from_the_folder_of_the_project(tmp_path: Path, write_config) -> None:
    (tmp_path / "pyproject.toml").write_text("")
    folder = tmp_path / "configs"
    folder.mkdir()
    moved = write_config(policy={"model": "models/tiny"}).rename(folder / "loop.yaml")

    config = load_config(moved)

    assert config.policy.model == tmp_path / "models/tiny"
    assert config.runs_dir == tmp_path / "runs"
    assert config.services.state_dir == tmp_path / ".rl-loop"


def test_overrides_are_yaml_and_reach_any_depth(write_config) -> None:
    overrides = ["rollout.group_size=8", "environment.domains=[click-link]", "evaluate.temperature=0.5", "name=other"]

    config = load_config(write_config(), overrides)

    assert config.rollout.group_size == 8
    assert config.environment.domains == ("click-link",)
    assert config.evaluate.temperature == 0.5
    assert config.name == "other"


def test_the_resolved_file_reads_back_to_the_same_configuration(config: LoopConfig, tmp_path: Path) -> None:
    text = dump_config(config)

    assert parse_config(yaml.safe_load(text), root=tmp_path / "elsewhere") == config


@pytest.mark.parametrize(
    ("override", "sentence"),
    [
        ("rollout.group_sise=8", "rollout.group_sise: unknown key; did you mean group_size?"),
        ("rolout.group_size=8", "rolout: unknown key; did you mean rollout?"),
        (
            "environment.zz=8",
            "environment.zz: unknown key; known here: name, folder, domains, heldout_domains, tasks, metabase, "
            "canary_tasks, sampler, horizon, blocking, blocked_hosts, isolation, viewport",
        ),
        (
            "rollout.shards=many",
            "rollout.shards: input should be a valid integer, unable to parse string as an integer, found 'many'",
        ),
        ("iterations=0", "iterations: input should be greater than or equal to 1, found 0"),
        ("name=a/b", "name: string should match pattern"),
        ("environment.domains=[click-buton]", "did you mean click-button"),
        ("rollout.concurrency=99", "rollout.concurrency=99 needs as many browsers, but services.browser_slots=2"),
        ("group_size", "'group_size': expected key=value, for example rollout.group_size=8"),
        ("=3", "'=3': expected key=value"),
        ("rollout..shards=3", "'rollout..shards=3': expected key=value"),
        ("name.inner=3", "name.inner: name is a value, not a section"),
        ("name=[", "'name=[': the value is not YAML; quote it"),
    ],
)
def test_a_wrong_override_is_one_sentence(write_config, override: str, sentence: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config(write_config(), [override])

    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)


def test_every_mistake_has_its_own_line(write_config) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config(write_config(), ["iterations=x", "seed=-1"])

    assert [line.partition(":")[0] for line in str(caught.value).splitlines()] == ["seed", "iterations"]


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (None, "no such configuration file"),
        ("- a\n- b\n", "expected a mapping of sections at the top, found list"),
        ("", "expected a mapping of sections at the top, found NoneType"),
        ("a: [1\n", "not YAML"),
        ("a: !!python/object/apply:os.system [ls]\n", "not YAML"),
        ("name: x\n", "policy: this key is required"),
    ],
)
def test_a_file_that_is_no_configuration_is_refused(tmp_path: Path, content: str | None, sentence: str) -> None:
    path = tmp_path / "loop.yaml"
    if content is not None:
        path.write_text(content)

    with pytest.raises(ConfigError, match=sentence):
        load_config(path)


def test_a_folder_is_no_configuration_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        load_config(tmp_path)


def test_evaluations_are_before_the_first_after_the_last_and_every_k(write_config) -> None:
    config = load_config(write_config(), ["iterations=7", "evaluate.every=3"])

    assert [iteration for iteration in range(8) if config.evaluates_after(iteration)] == [0, 3, 6, 7]


def test_flatten_uses_dotted_keys() -> None:
    assert flatten({"a": {"b": {"c": 1}, "d": []}, "e": None, "f": {}}) == {"a.b.c": 1, "a.d": [], "e": None, "f": {}}


@pytest.mark.parametrize(
    ("overrides", "proximal"),
    [
        ([], "sampling"),
        (["rollout.overlap=one_step"], "recomputed"),
        (["rollout.overlap=async", "update.preset=gspo"], "recomputed"),
        (["rollout.overlap=async", "update.preset=cispo"], "sampling"),
        (["rollout.overlap=async", "update.proximal_policy=interpolated"], "interpolated"),
    ],
)
def test_the_loss_is_decoupled_where_rollouts_overlap(
    write_config: WriteConfig, overrides: list[str], proximal: str
) -> None:
    config = load_config(write_config(), overrides)
    assert config.update.proximal_policy == proximal
    path = write_config()
    path.write_text(dump_config(config))
    assert load_config(path) == config, "a run's own file is read as the same configuration"


def test_a_lag_that_would_be_discarded_is_refused(write_config: WriteConfig) -> None:
    with pytest.raises(ConfigError, match=r"up to 3 versions old, but update\.max_staleness=2 would discard them"):
        load_config(write_config(), ["rollout.overlap=async", "rollout.max_lag=3", "update.max_staleness=2"])


def test_steps_are_not_compared_at_pages_that_no_observation_describes(write_config: WriteConfig) -> None:
    """All anchors would be of one step each, and `gigpo` would be another algorithm without a word."""
    blind = ["update.preset=gigpo", "agent.interaction_mode=coordinates", "agent.prompt=compact"]
    with pytest.raises(ConfigError, match=r"set agent\.ax_tree=true or update\.step_anchor=screenshot"):
        load_config(write_config(), blind)
    for way_out in ("agent.ax_tree=true", "update.step_anchor=screenshot", "agent.prompt=full"):
        load_config(write_config(), [*blind, way_out])
