"""Pauses of hosts: a site that refuses visits is left alone, tried by one episode, and given up in the end."""

from hypothesis import given
from hypothesis import strategies as st

from environments.hosts import BlockingConfig
from environments.pauses import HostPauses

SHOP = "shop.example"
CONFIG = BlockingConfig(pause_after=2, pause_window_s=100, pause_s=50, most_pauses=2)


def test_a_host_is_paused_tried_and_given_up() -> None:
    now = [0.0]
    pauses = HostPauses(CONFIG, lambda: now[0])
    assert not pauses.end(SHOP, "a", bad=True)
    assert pauses.end(SHOP, "b", bad=True), "two bad ones in the window"
    assert not pauses.may_begin(SHOP) and pauses.may_begin("other.example")
    assert not pauses.end(SHOP, "c", bad=True), "it had begun before the pause"
    now[0] = 50
    assert pauses.may_begin(SHOP)
    pauses.begin(SHOP, "d")
    assert not pauses.may_begin(SHOP), "one episode tries it"
    pauses.end(SHOP, "d")  # it was stopped: that tells nothing
    assert pauses.may_begin(SHOP)
    pauses.begin(SHOP, "e")
    assert pauses.end(SHOP, "e", bad=True) and pauses.is_given_up(SHOP)
    now[0] = 100
    assert not pauses.is_given_up(SHOP) and pauses.may_begin(SHOP)
    pauses.begin(SHOP, "f")
    pauses.end(SHOP, "f", good=True)
    assert pauses.may_begin(SHOP) and not pauses.end(SHOP, "g", bad=True), "it counts from the start again"
    now[0] = 300
    assert not pauses.end(SHOP, "h", bad=True), "the other one is too long ago"


@given(
    st.lists(st.tuples(st.sampled_from(["good", "bad", "nothing", "begin", "wait"]), st.integers(0, 3)), max_size=60)
)
def test_a_host_is_always_tried_again(moves: list[tuple[str, int]]) -> None:
    """Whatever happened: once all episodes are over and the pause has passed, an episode may begin."""
    now = [0.0]
    pauses = HostPauses(CONFIG, lambda: now[0])
    running: set[str] = set()
    for what, number in moves:
        episode = f"e{number}"
        if what == "wait":
            now[0] += 20 * number
        elif what == "begin" and episode not in running and pauses.may_begin(SHOP):
            pauses.begin(SHOP, episode)
            running.add(episode)
        elif what != "begin" and episode in running:
            pauses.end(SHOP, episode, good=what == "good", bad=what == "bad")
            running.discard(episode)
    for episode in running:
        pauses.end(SHOP, episode)
    now[0] += CONFIG.pause_s
    assert pauses.may_begin(SHOP) and not pauses.is_given_up(SHOP)


def test_it_can_be_turned_off() -> None:
    pauses = HostPauses(BlockingConfig(pause_after=0))
    assert not any(pauses.end(SHOP, str(number), bad=True) for number in range(9))
    assert not any(HostPauses(CONFIG).end("", str(number), bad=True) for number in range(9)), "a bundled site has none"
