"""The egress rules of one lease, by name and by address."""

from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest

from browser_service.egress.addresses import parse_endpoint
from browser_service.egress.policy import NoConnection, Policy, ServiceRules, read_blocklist
from browser_service.errors import BadRequest
from browser_service.models import LeaseRequest
from browser_service.settings import Settings, SettingsError, read_settings

PUBLIC = "8.8.8.8"


def policy(rules: ServiceRules | None = None, **request: Any) -> Policy:
    return Policy.of(LeaseRequest(**request), rules or ServiceRules())


def refusal(wanted: Policy, endpoint: str, address: str = PUBLIC) -> str | None:
    """Why the endpoint, resolved to the address, is refused; None when it is not."""
    parsed = parse_endpoint(endpoint)
    try:
        wanted.check_name(parsed)
        wanted.check_address(parsed, ip_address(address))
    except NoConnection as error:
        assert error.trouble.fault == "policy"
        return error.trouble.reason
    return None


def test_without_sites_there_is_only_the_public_web() -> None:
    open_web = policy()
    assert refusal(open_web, "example.com:443") is None
    assert refusal(open_web, "example.com:80") is None
    assert refusal(open_web, "example.com:22") == "port"
    assert refusal(open_web, "example.com:8080") == "port"
    assert refusal(policy(ServiceRules(web_ports=frozenset({80, 443, 8080}))), "example.com:8080") is None
    for address in ("127.0.0.1", "10.0.0.1", "::1", "100.64.3.4", "::ffff:192.168.1.1"):
        assert refusal(open_web, "example.com:443", address) == "private"
    assert refusal(open_web, "example.com:80", "169.254.169.254") == "address"


def test_a_site_is_reached_at_its_port_and_no_other() -> None:
    own = policy(sites=["127.0.0.1:8000", "*.shop.test:81", "[::1]:9000", "plain.test"])
    assert refusal(own, "127.0.0.1:8000", "127.0.0.1") is None
    assert refusal(own, "127.0.0.1:8001", "127.0.0.1") == "port"
    assert refusal(own, "127.0.0.1:80", "127.0.0.1") == "private"
    assert refusal(own, "localhost:8000", "127.0.0.1") == "port", "a site is meant as it is written"
    assert refusal(own, "a.shop.test:81", "10.0.0.1") is None
    assert refusal(own, "shop.test:81", "10.0.0.1") is None
    assert refusal(own, "evilshop.test:81", "10.0.0.1") == "port"
    assert refusal(own, "[::1]:9000", "::1") is None
    assert refusal(own, "plain.test:443", "10.0.0.1") is None
    assert refusal(own, "plain.test:8080", "10.0.0.1") == "port"


def test_naming_an_address_that_is_nobodys_does_not_open_it() -> None:
    bold = policy(sites=["169.254.169.254:80", "metadata.test:80", "0.0.0.0:80"])
    assert refusal(bold, "169.254.169.254:80", "169.254.169.254") == "address"
    assert refusal(bold, "metadata.test:80", "169.254.169.254") == "address"
    assert refusal(bold, "metadata.test:80", "::ffff:169.254.169.254") == "address"
    assert refusal(bold, "0.0.0.0:80", "0.0.0.0") == "address"
    bold = policy(sites=["127.98.115.1:*", "near.test:*"])
    assert refusal(bold, "127.98.115.1:40000", "127.98.115.1") == "address", "a proxy, of whichever instance"
    assert refusal(bold, "near.test:40000", "::ffff:127.98.115.1") == "address"


def test_the_service_itself_is_never_a_site() -> None:
    rules = ServiceRules(control_ports={7000})
    bold = policy(rules, sites=["127.0.0.1:7000", "me.test:7000"])
    assert refusal(bold, "127.0.0.1:7000", "127.0.0.1") == "control_port"
    assert refusal(bold, "me.test:7000", "::ffff:127.0.0.1") == "control_port"
    assert refusal(bold, "me.test:7000", PUBLIC) is None, "the same port elsewhere is something else"


def test_a_service_for_others_has_no_private_sites() -> None:
    exposed = Settings.model_validate({"host": "0.0.0.0", "api_key": "k"})
    rules = ServiceRules.read(exposed)
    assert refusal(policy(rules, sites=["10.0.0.1:80"]), "10.0.0.1:80", "10.0.0.1") == "private"
    assert refusal(policy(rules, sites=["shop.test:8080"]), "shop.test:8080", PUBLIC) is None
    rules = ServiceRules.read(exposed.model_copy(update={"egress_allow_private": True}))
    assert refusal(policy(rules, sites=["10.0.0.1:80"]), "10.0.0.1:80", "10.0.0.1") is None
    assert ServiceRules.read(Settings()).allow_private


def test_an_offline_task_reaches_nothing_but_its_sites() -> None:
    offline = policy(sites=["127.0.0.1:8000"], only_sites=True)
    assert refusal(offline, "127.0.0.1:8000", "127.0.0.1") is None
    assert refusal(offline, "example.com:443") == "not_a_site"


def test_blocked_hosts_are_blocked_with_everything_under_them_even_as_sites() -> None:
    rules = ServiceRules(blocklist=frozenset({"ads.test"}))
    blocking = policy(rules, blocked_hosts=["Evil.TEST.", "*.wild.test", "0x7f.1"], sites=["evil.test:80"])
    for host in (
        "evil.test:80",
        "a.b.evil.test:443",
        "wild.test:80",
        "x.wild.test:80",
        "ads.test:80",
        "x.ads.test:443",
    ):
        assert refusal(blocking, host) == "blocked", host
    assert refusal(blocking, "127.0.0.1:80", "127.0.0.1") == "blocked"
    for host in ("notevil.test:80", "evil.test.com:80", "test:80"):
        assert refusal(blocking, host) is None, host


@pytest.mark.parametrize("site", ["a..b", "a:99999", "256.1.1.1:80", "[::1:80", "*.*.a", "a:b:c"])
def test_a_bad_site_is_an_error_for_the_caller(site: str) -> None:
    with pytest.raises(BadRequest, match="sites or blocked_hosts"):
        policy(sites=[site])


def test_a_blocklist_is_a_list_of_hosts_or_a_hosts_file(tmp_path: Path) -> None:
    path = tmp_path / "blocked.txt"
    path.write_text("# ours\nAds.test\n\n0.0.0.0 tracker.test # theirs\n*.wild.test\n")
    assert read_blocklist(path) == {"ads.test", "tracker.test", "wild.test"}
    path.write_text("fine.test\nnot a host!\n")
    with pytest.raises(SettingsError, match="line 2"):
        read_blocklist(path)
    with pytest.raises(SettingsError, match="can't be read"):
        ServiceRules.read(Settings(blocklist=tmp_path / "missing"))


def test_ports_are_set_as_a_list_of_numbers() -> None:
    rules = ServiceRules.read(read_settings({"BROWSER_SERVICE_EGRESS_PORTS": "8080,8443"}))
    assert rules.web_ports == {80, 443, 8080, 8443}
    with pytest.raises(SettingsError, match="EGRESS_PORTS"):
        read_settings({"BROWSER_SERVICE_EGRESS_PORTS": "80,http"})


def test_the_servers_that_the_service_talks_to_are_its_own_ports() -> None:
    settings = Settings.model_validate(
        {
            "port": 9000,
            "node_url": "http://127.0.0.1:8080",
            "master_url": "http://a:7000,http://b:7001",
            "redis_url": "redis://:p@localhost",
            "control_ports": "8081,9001",
        }
    )
    assert ServiceRules.read(settings).control_ports == {9000, 8080, 7000, 7001, 6379, 8081, 9001}


def test_sites_of_every_lease_are_set_for_the_service() -> None:
    """Also where leases can't name private ones."""
    settings = read_settings(
        {"BROWSER_SERVICE_EGRESS_SITES": "127.0.0.1:*,10.0.0.7:81", "BROWSER_SERVICE_EGRESS_ALLOW_PRIVATE": "0"}
    )
    every = policy(ServiceRules.read(settings), sites=["10.0.0.8:80"])
    assert refusal(every, "127.0.0.1:12345", "127.0.0.1") is None
    assert refusal(every, "10.0.0.7:81", "10.0.0.7") is None
    assert refusal(every, "10.0.0.7:82", "10.0.0.7") == "port"
    assert refusal(every, "10.0.0.8:80", "10.0.0.8") == "private"
    with pytest.raises(SettingsError, match="EGRESS_SITES"):
        ServiceRules.read(read_settings({"BROWSER_SERVICE_EGRESS_SITES": "a b"}))
