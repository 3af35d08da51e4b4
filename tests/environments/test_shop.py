"""The shop: state by episode, side effects, answers; its pages are played by `rl-loop environments check shop`."""

import asyncio
from json import dumps
from typing import Any

import httpx
import pytest
from ended_trajectory import ended
from hypothesis import given
from hypothesis import strategies as st

from agent.failures import EpisodeFailure
from agent.types import Trajectory
from environments.applications.shop.shop import shop
from environments.base import SEEDS, UnknownTask
from environments.bundled import static_environment
from environments.providers.static.provider import StaticProvider
from environments.tasks.changes import Changes, changes_between

SHOP = static_environment(shop())
LEAF = st.booleans() | st.integers(0, 2) | st.sampled_from("ab")
STATE = st.fixed_dictionaries(
    {}, optional={"a": LEAF, "b": LEAF, "c": st.dictionaries(st.sampled_from("xyz"), LEAF, max_size=3)}
)


@given(STATE, STATE)
def test_changes_are_found_exactly_where_states_differ(before: dict[str, Any], after: dict[str, Any]) -> None:
    assert changes_between(before, before) == []
    assert bool(changes_between(before, after)) == (dumps(before, sort_keys=True) != dumps(after, sort_keys=True))
    changes = changes_between(before, after)
    assert Changes(tuple(changes)).only("*")


def test_templates_of_the_splits_are_different_ones() -> None:
    train, heldout = set(SHOP.domains("train")), set(SHOP.domains("heldout"))
    assert not train & heldout and len(train) >= 12 and len(heldout) >= 6
    tasks = [SHOP.task(name, SEEDS["train"].start + seed, "train") for name in train for seed in range(8)]
    assert {task.difficulty for task in tasks} == {1, 2, 3} and len({task.goal for task in tasks}) > 60
    assert SHOP.task_from_id(tasks[0].id) == tasks[0]
    for wrong in ("put-featured-into-cart.1000000", "nothing.1", "x"):
        with pytest.raises(UnknownTask):
            SHOP.task_from_id(wrong)


async def test_side_effects_cost_the_reward_and_nothing_and_claims_give_none() -> None:
    task = SHOP.task("put-featured-into-cart", 3, "train")
    async with SHOP, SHOP.serve(task, trajectory_id="t") as site, httpx.AsyncClient(trust_env=False) as http:
        assert site.login is not None and site.reach.only_sites
        base = site.start_url.removesuffix("index.html")
        nothing = await SHOP.check(ended(task, "done"), await site.final_state())
        assert nothing.reward == 0 and "nothing changed" in nothing.evidence

        assert "Sign in" in (await http.get(site.start_url)).text
        assert (await http.post(f"{base}add_to_cart", data={"product": "x"})).status_code == 403
        for cookie in site.login.cookies:
            http.cookies.set(cookie.name, cookie.value, domain=cookie.domain, path=cookie.path)
        product = (await site.final_state())["parameters"]["product"]
        await http.post(f"{base}add_to_cart", data={"product": product, "quantity": "1"})
        assert (await SHOP.check(ended(task), await site.final_state())).reward == 1
        await http.post(f"{base}send_message", data={"subject": "Hi", "message": "<script>alert(1)</script>"})
        verdict = await SHOP.check(ended(task), await site.final_state())
        assert verdict.reward == 0 and verdict.criteria == {"changed_as_wanted": True, "no_side_effects": False}

        bad = {"product": ["../../x", "' OR 1=1 --", ""], "quantity": ["-1", "1e9", "NaN"]}
        before = await site.final_state()
        for product_field, quantity in zip(bad["product"], bad["quantity"], strict=True):
            await http.post(f"{base}add_to_cart", data={"product": product_field, "quantity": quantity})
        assert await site.final_state() == before
        assert (await http.get(f"{base}..%2f..%2fstate.py")).status_code == 404
        assert (await http.get(f"{base}_layout.html")).status_code == 404
        assert (await http.post(f"{base}send_message", content=b"a" * 70_000)).status_code == 413
        await http.post(f"{base}close_account")
        assert "Sign in" in (await http.get(site.start_url)).text
    broken = Trajectory.model_validate(ended(task).model_dump() | {"final_state": {"changes": "?"}})
    assert (await SHOP.check(broken, broken.final_state)).reward is None


async def test_an_error_of_the_application_is_no_evidence() -> None:
    application = shop()
    application.actions["save_profile"] = lambda state, visit: str(1 / 0)
    environment = static_environment(application)
    task = environment.task("toggle-newsletter", 1, "train")
    async with environment, environment.serve(task, trajectory_id="t") as site, httpx.AsyncClient() as http:
        assert site.login is not None
        cookies = {cookie.name: cookie.value for cookie in site.login.cookies}
        http.cookies.update(cookies)
        answer = await http.post(site.start_url.replace("index.html", "save_profile"), data={"name": "x"})
        assert answer.status_code == 500
        with pytest.raises(RuntimeError, match="ZeroDivisionError"):
            await site.final_state()


@pytest.mark.parametrize("count", [30, pytest.param(200, marks=pytest.mark.chaos)])
async def test_episodes_at_once_never_see_one_another(count: int) -> None:
    application = shop()
    provider = StaticProvider(application)

    async def episode(number: int, http: httpx.AsyncClient) -> None:
        async with provider.fresh(f"t{number}") as place:
            await application.set_up(place.handle, seed=5)
            assert place.login is not None
            headers = {"Cookie": f"session={place.login.cookies[0].value}"}
            base = place.url.removesuffix("index.html")
            body = {"subject": f"n{number}", "message": "x"}
            await http.post(f"{base}send_message", data=body, headers=headers)
            state = await application.read(place.handle)
            assert state["messages"] == {"1": {"subject": f"n{number}", "text": "x"}}

    limits = httpx.Limits(max_connections=50)
    async with provider, httpx.AsyncClient(trust_env=False, timeout=60, limits=limits) as http:
        await asyncio.gather(*(episode(number, http) for number in range(count)))


async def test_a_place_that_breaks_is_an_infrastructure_failure() -> None:
    class Broken(StaticProvider):
        def fresh(self, trajectory_id: str) -> Any:
            raise OSError("no room")

    from environments.tasks.application import ApplicationEnvironment

    application = shop()
    environment = ApplicationEnvironment(application, Broken(application))
    with pytest.raises(EpisodeFailure) as failure:
        async with environment.serve(environment.task("add-address", 1, "train"), trajectory_id="t"):
            pass
    assert failure.value.failure.side == "infra" and failure.value.failure.retryable


async def test_a_canary_of_the_shop_can_be_named_and_is_never_rewarded_by_its_check() -> None:
    family = SHOP.domains("train")[0]
    canary = SHOP.canary(family, 7)

    assert canary == SHOP.task_from_id(canary.id) and canary.canary and canary.id == f"canary-{family}.7"
    assert not canary.rubric and canary.goal != SHOP.task(family, 7, "train").goal
    assert (await SHOP.check(ended(canary), {})).reward is None
