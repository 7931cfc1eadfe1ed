from __future__ import annotations

import ipaddress

import pytest

from bitagent_wire.addresses import AddressRefused, AddressRule, allowed, refusal

CASES = [
    # address, public, local
    ("8.8.8.8", True, True),
    ("2606:4700::1111", True, True),
    ("127.0.0.1", False, True),
    ("127.8.9.1", False, True),
    ("::1", False, True),
    ("10.0.0.1", False, True),
    ("172.16.5.5", False, True),
    ("192.168.1.1", False, True),
    ("fd12::1", False, True),
    ("100.64.0.1", False, False),
    ("100.100.100.200", False, False),
    ("0.0.0.0", False, False),
    ("0.1.2.3", False, True),
    ("::", False, False),
    ("169.254.169.254", False, False),
    ("169.254.1.1", False, False),
    ("fe80::1", False, False),
    ("fe80::1%eth0", False, False),
    ("fd00:ec2::254", False, False),
    ("224.0.0.1", False, False),
    ("ff02::1", False, False),
    ("255.255.255.255", False, True),
    ("240.0.0.1", False, True),
    ("::ffff:127.0.0.1", False, True),
    ("::ffff:10.0.0.1", False, True),
    ("::ffff:169.254.169.254", False, False),
    ("2002:a9fe:a9fe::1", False, False),
    ("2002:7f00:1::1", False, True),
    ("64:ff9b::a9fe:a9fe", False, False),
    ("64:ff9b::7f00:1", False, False),
    ("64:ff9b::808:808", False, False),
    ("168.63.129.16", False, False),
    ("fec0::1", False, False),
    ("192.0.0.8", False, False),
    ("192.88.99.1", False, False),
    ("3fff::1", False, False),
]


@pytest.mark.parametrize(("address", "public", "local"), CASES, ids=[case[0] for case in CASES])
def test_rules(address: str, public: bool, local: bool) -> None:
    parsed = ipaddress.ip_address(address)
    assert (refusal(parsed, rule=AddressRule.PUBLIC) is None) is public
    assert (refusal(parsed, rule=AddressRule.LOCAL) is None) is local


@pytest.mark.parametrize("host", ["localhost", "127.1", "0x7f.1", "2130706433"])
async def test_other_ways_to_write_loopback(host: str) -> None:
    with pytest.raises(AddressRefused):
        await allowed(host, 80, rule=AddressRule.PUBLIC)


async def test_a_name_becomes_the_address_that_was_examined() -> None:
    found = await allowed("localhost", 80, rule=AddressRule.LOCAL)
    assert ipaddress.ip_address(found).is_loopback


@pytest.mark.parametrize("port", [0, -1, 65536])
async def test_ports(port: int) -> None:
    with pytest.raises(AddressRefused):
        await allowed("8.8.8.8", port, rule=AddressRule.PUBLIC)
