"""Every spelling of a host is one host, and every kind of address has its reach."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from browser_service.egress.addresses import (
    BadHost,
    Endpoint,
    Reach,
    canonical_host,
    is_this_machine,
    parse_endpoint,
    reach_of,
)


@pytest.mark.parametrize(
    "text",
    [
        "127.0.0.1", "127.0.0.1.", "127.1", "127.0.1", "2130706433", "0x7f000001", "0x7F.1", "0x7f.0.0.0x1",
        "017700000001", "0177.0.0.1", "0177.1", "127.0.0.0x1", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]",
        "[0:0:0:0:0:ffff:7f00:0001]", "[64:ff9b::7f00:1]", "::ffff:127.0.0.1",
    ],
)  # fmt: skip
def test_every_spelling_of_loopback_is_loopback(text: str) -> None:
    assert canonical_host(text) == "127.0.0.1"


@pytest.mark.parametrize(
    ("text", "host"),
    [
        ("Example.COM", "example.com"),
        ("example.com.", "example.com"),
        ("LOCALHOST.", "localhost"),
        ("xn--bcher-kva.example", "xn--bcher-kva.example"),
        ("under_score.test", "under_score.test"),
        ("1.example", "1.example"),
        ("0", "0.0.0.0"),
        ("0x", "0.0.0.0"),
        ("1.2.3.", "1.2.0.3"),
        ("[::1]", "::1"),
        ("[0:0::1]", "::1"),
        ("[2001:DB8::1]", "2001:db8::1"),
    ],
)
def test_a_host_has_one_spelling(text: str, host: str) -> None:
    assert canonical_host(text) == host


@pytest.mark.parametrize(
    "text",
    [
        "", ".", "a..b", "a b", "a/b", "user@host", "a\nb", "a%2eb", "bücher.example", "x" * 64, "a." * 127 + "ab",
        "256.1.1.1", "1.2.3.4.5", "4294967296", "127.0.0.1x.9", "08.1", "0xg.1", "example.09",
        "[::1", "::1]", "[fe80::1%eth0]", "[127.0.0.1]", "[]", "127.0.0.1 evil.test", "\uff11\uff12\uff17.0.0.1",
    ],
)  # fmt: skip
def test_what_is_no_host_is_refused(text: str) -> None:
    with pytest.raises(BadHost):
        canonical_host(text)


@given(st.integers(0, 2**32 - 1))
def test_numbers_are_read_as_browsers_read_them(number: int) -> None:
    address = str(ipaddress.IPv4Address(number))
    a, b, c, d = address.split(".")
    for spelling in (
        str(number), hex(number), f"0{number:o}", f"{a}.{number & 0xFFFFFF}", f"{a}.{hex(int(b))}.{number & 0xFFFF}",
        f"0{int(a):o}.{b}.{c}.{hex(int(d))}",
    ):  # fmt: skip
        assert canonical_host(spelling) == address


@given(st.text(max_size=40))
def test_a_canonical_host_is_its_own_canonical_form(text: str) -> None:
    try:
        host = canonical_host(text)
    except BadHost:
        return
    assert canonical_host(host) == host


@pytest.mark.parametrize(
    ("address", "reach"),
    [
        ("8.8.8.8", Reach.PUBLIC), ("2606:4700::1111", Reach.PUBLIC), ("64:ff9b::808:808", Reach.PUBLIC),
        ("::ffff:8.8.8.8", Reach.PUBLIC),
        ("127.0.0.1", Reach.PRIVATE), ("127.255.255.254", Reach.PRIVATE), ("10.1.2.3", Reach.PRIVATE),
        ("172.16.0.1", Reach.PRIVATE), ("172.31.255.255", Reach.PRIVATE), ("192.168.1.1", Reach.PRIVATE),
        ("100.64.0.1", Reach.PRIVATE), ("198.18.0.1", Reach.PRIVATE), ("::1", Reach.PRIVATE), ("fd12::1", Reach.PRIVATE),
        ("::ffff:10.0.0.1", Reach.PRIVATE), ("64:ff9b::a00:1", Reach.PRIVATE), ("172.32.0.1", Reach.PUBLIC),
        ("169.254.169.254", Reach.NEVER), ("169.254.0.1", Reach.NEVER), ("100.100.100.200", Reach.NEVER),
        ("192.0.0.192", Reach.NEVER), ("fd00:ec2::254", Reach.NEVER), ("fd20:ce::254", Reach.NEVER),
        ("0.0.0.0", Reach.NEVER), ("0.1.2.3", Reach.NEVER), ("224.0.0.1", Reach.NEVER), ("239.255.255.250", Reach.NEVER),
        ("255.255.255.255", Reach.NEVER), ("240.0.0.1", Reach.NEVER), ("192.0.2.1", Reach.NEVER),
        ("203.0.113.5", Reach.NEVER), ("::", Reach.NEVER), ("fe80::1", Reach.NEVER), ("fec0::1", Reach.NEVER),
        ("ff02::1", Reach.NEVER), ("2001::1", Reach.NEVER), ("2002:7f00:1::", Reach.NEVER), ("2001:db8::1", Reach.NEVER),
        ("::7f00:1", Reach.NEVER), ("::ffff:169.254.169.254", Reach.NEVER), ("64:ff9b::a9fe:a9fe", Reach.NEVER),
        ("64:ff9b:1::7f00:1", Reach.NEVER), ("fe80::1%lo", Reach.NEVER), ("5f00::1", Reach.NEVER),
    ],
)  # fmt: skip
def test_each_kind_of_address_has_its_reach(address: str, reach: Reach) -> None:
    assert reach_of(ipaddress.ip_address(address)) is reach


@given(st.integers(0, 2**32 - 1))
def test_what_we_call_public_the_standard_library_calls_global(number: int) -> None:
    address = ipaddress.IPv4Address(number)
    if reach_of(address) is Reach.PUBLIC:
        assert address.is_global and not address.is_multicast


@given(st.integers(0, 2**128 - 1))
def test_the_same_for_the_long_addresses(number: int) -> None:
    address = ipaddress.IPv6Address(number)
    if reach_of(address) is Reach.PUBLIC and address not in ipaddress.IPv6Network("64:ff9b::/96"):
        assert address.ipv4_mapped or (address.is_global and not address.is_multicast)


@pytest.mark.parametrize("address", ["127.0.0.1", "127.9.9.9", "::1", "0.0.0.0", "::ffff:127.0.0.1"])
def test_this_machine_is_known_by_its_addresses(address: str) -> None:
    assert is_this_machine(ipaddress.ip_address(address))
    assert not is_this_machine(ipaddress.ip_address("8.8.8.8"))


def test_an_endpoint_is_a_host_and_a_port() -> None:
    assert parse_endpoint("0x7f.1:80") == Endpoint("127.0.0.1", 80)
    assert parse_endpoint("[::1]:443") == Endpoint("::1", 443)
    assert parse_endpoint("[::1]", 443) == parse_endpoint("::1", 443) == Endpoint("::1", 443)
    assert parse_endpoint("shop.test", 80) == Endpoint("shop.test", 80)
    assert str(Endpoint("::1", 80)) == "[::1]:80"
    for text in ("shop.test", "shop.test:", "shop.test:0", "shop.test:65536", "shop.test:-1", "shop.test:8o", "a:1:2"):
        with pytest.raises(BadHost):
            parse_endpoint(text)
