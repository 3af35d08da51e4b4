"""A policy is served by every server of `services.models`, or the earlier one is; whichever server fails, however."""

import os
import random
from collections.abc import Generator
from contextlib import ExitStack
from pathlib import Path

import pytest
from loop_configs import WriteConfig
from loopback_vllm import Loopback, running_loopback
from small_policies import tensors, write_model, write_version

from flows.policy import served_by
from flows.policy.publishing import ensure_served
from flows.policy.waiting import StageError
from flows.services.model_servers import model_servers
from flows.services.service_files import SupervisorStatus, status_file
from flows.settings.loop_config import ConfigError, load_config
from flows.settings.run_folder import RunFolder
from storage.process_id import process_id

PLACES = ["http://10.0.0.1:8200", "http://10.0.0.2:8200", "http://10.0.0.3:8200"]
FAULTS = [
    (route, fault)
    for route in ("/pause", "/collective_rpc", "/reset_mm_cache", "/weight_checker", "/resume")
    for fault in ("fail once", "hang once")
]


class Servers:
    """Three servers where the doors to them would be, and a run with the versions 0, 1 and 2."""

    def __init__(self, folder: RunFolder, stack: ExitStack, model: Path) -> None:
        self.folder, self._model = folder, model
        self._open = [stack.enter_context(ExitStack()) for _ in PLACES]
        self.all = [self._started(number) for number in range(len(PLACES))]

    def _started(self, number: int) -> Loopback:
        socket = model_servers(self.folder.config.services)[number].socket
        return self._open[number].enter_context(running_loopback(socket, self._model))

    def stop(self, number: int) -> None:
        """The server's process ends."""
        self._open[number].close()

    def served(self) -> list[tuple[str, str]]:
        """The version that each server reports, and the folder of the weights that it holds."""
        return [(one.version, one.holds.name) for one in self.all]

    def reloads(self) -> list[int]:
        """The number of reloads of each server."""
        return [one.calls.count("/collective_rpc") for one in self.all]


@pytest.fixture
def model_directory(tmp_path: Path) -> Path:
    """The weights that the servers were started with."""
    return write_model(tmp_path / "model", tensors(0.1))


@pytest.fixture
def servers(
    tmp_path: Path,
    write_config: WriteConfig,
    model_directory: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Generator[Servers]:
    monkeypatch.setattr(served_by, "ENGINE_DEATH_S", 0.01)
    config = load_config(
        write_config(services={"models": PLACES, "heal_s": 0.3, "state_dir": str(tmp_path / "state")}),
        ["serving.publish_deadline_s=1.0", "serving.rollback_deadline_s=5"],
    )
    folder = RunFolder.create("small", config)
    for version in range(3):
        write_version(folder.policies, version, tensors(0.1 * (version + 1)), canary=version > 0)
    supervisor = process_id(os.getpid())
    assert supervisor is not None
    config.services.state_dir.mkdir()
    status = SupervisorStatus(supervisor=supervisor, services=[])
    status_file(config.services.state_dir).write_text(status.model_dump_json())
    with ExitStack() as stack:
        yield Servers(folder, stack, model_directory)


async def test_every_server_has_its_own_proof_and_its_own_name(servers: Servers) -> None:
    served = await ensure_served(servers.folder, 1)

    assert servers.served() == [("small:1", "v0001")] * 3
    assert (served.model, *served.others) == tuple(one.model for one in servers.all)
    assert served.at(2).model == servers.all[2].model and served.at(2).others == ()
    assert servers.reloads() == [1, 1, 1]
    await ensure_served(servers.folder, 1)
    assert servers.reloads() == [1, 1, 1], "what is proved is not published again"


async def test_nothing_is_published_while_a_server_is_away(servers: Servers) -> None:
    await ensure_served(servers.folder, 0)
    servers.stop(1)

    with pytest.raises(StageError) as refused:
        await ensure_served(servers.folder, 1)

    assert str(refused.value).startswith("vLLM 2 of 3 (http://10.0.0.2:8200) was not healthy again within 0 s")
    assert str(refused.value).endswith("small:1 was published to no server; small:0 is served as before")
    assert [one.version for one in servers.all] == ["small:0"] * 3 and servers.reloads() == [1, 1, 1]
    servers.all[1] = servers._started(1)
    assert (await ensure_served(servers.folder, 1)).tag == "small:1", "it was started again: another name, no policy"
    assert servers.served() == [("small:1", "v0001")] * 3


async def test_a_policy_that_fails_its_proof_touches_one_server(servers: Servers) -> None:
    await ensure_served(servers.folder, 1)
    wrong = tuple(-9.0 for _ in range(12))
    write_version(servers.folder.policies, 3, tensors(0.5), logprobs=wrong)

    with pytest.raises(StageError, match=r"vLLM 1 of 3 \(http://10.0.0.1:8200\): policy small:3 cannot be proved"):
        await ensure_served(servers.folder, 3)

    assert servers.served() == [("small:1", "v0001")] * 3 and servers.reloads() == [4, 1, 1]


@pytest.mark.parametrize("order", ["staggered", "together"])
async def test_whatever_fails_the_servers_agree_in_the_end(servers: Servers, order: str) -> None:
    serving = servers.folder.config.serving.model_copy(update={"publish_order": order})
    folder = RunFolder(servers.folder.root, servers.folder.config.model_copy(update={"serving": serving}))
    chance, failed = random.Random(7), 0
    await ensure_served(folder, 1)
    for _ in range(5):
        before = servers.all[0].version
        wanted = 2 if before == "small:1" else 1
        unlucky, (route, fault) = chance.randrange(3), chance.choice(FAULTS)
        servers.all[unlucky].faults = {route: fault}
        try:
            await ensure_served(folder, wanted)
        except StageError as error:
            failed += 1
            assert str(error).startswith(f"vLLM {unlucky + 1} of 3 ({PLACES[unlucky]}): policy small:{wanted}")
            assert f"{before} is served again" in str(error) and "\n" not in str(error)
            assert servers.served() == [(before, f"v{int(before[-1]):04d}")] * 3, (route, fault)
        else:
            assert servers.served() == [(f"small:{wanted}", f"v{wanted:04d}")] * 3, (route, fault)
        servers.all[unlucky].faults = {}
        assert not any(one.paused for one in servers.all)
    assert failed >= 3


@pytest.mark.parametrize("order", ["staggered", "together"])
async def test_a_server_that_dies_at_each_try_is_a_sentence_and_the_others_go_back(
    servers: Servers, order: str
) -> None:
    serving = servers.folder.config.serving.model_copy(update={"publish_order": order})
    folder = RunFolder(servers.folder.root, servers.folder.config.model_copy(update={"serving": serving}))
    await ensure_served(folder, 1)
    servers.all[2].faults = {"/collective_rpc": "die"}

    with pytest.raises(StageError) as refused:
        await ensure_served(folder, 2)

    last = f"vLLM 3 of 3 ({PLACES[2]})"
    said = str(refused.value)
    assert said.startswith(
        f"{last}: policy small:2 could not be served in 3 tries, last: {last} was lost while small:2"
    )
    assert "small:1 could not be served again either" in said and "\n" not in said
    assert all(f"; vLLM {number} of 3 ({PLACES[number - 1]}) serves small:1 again" in said for number in (1, 2))
    assert servers.served()[:2] == [("small:1", "v0001")] * 2
    servers.all[2].faults = {}
    assert (await ensure_served(folder, 2)).tag == "small:2"


@pytest.mark.parametrize(
    ("models", "sentence"),
    [
        (["http://a:1", "http://a:1"], "models names http://a:1 twice"),
        (["http://a:1", "local"], "expected local, or an address such as"),
        ([], "expected local, or an address such as"),
    ],
)
def test_bad_lists_of_servers_are_sentences(write_config: WriteConfig, models: list[str], sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        load_config(write_config(services={"models": models}))
