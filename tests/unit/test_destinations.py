"""Addresses are told apart and hidden: what may be shown of them tells nothing."""

from __future__ import annotations

import pytest
from django.core.exceptions import ImproperlyConfigured

from ops.destinations import alert_destinations, secrets_in

TEXT = "mailtos://ann:pa%24sword9@example.org?to=a@example.org,b@example.org, tgram://123456:AbCdEf/987654\n json://127.0.0.1:9/"


def labels(text: str) -> list[str]:
    return [to.label for to in alert_destinations(text, salt="s")]


def test_commas_and_spaces_separate_addresses_and_may_stand_inside_one():
    found = alert_destinations(TEXT, salt="s")
    assert [to.label for to in found] == ["mailtos", "tgram", "json"]
    assert found[0].url == "mailtos://ann:pa%24sword9@example.org?to=a@example.org,b@example.org"


def test_two_of_a_service_are_numbered_and_one_that_is_written_twice_counts_once():
    assert labels("slack://a/b/c json://h/ slack://d/e/f slack://a/b/c") == ["slack 1", "json", "slack 2"]


@pytest.mark.parametrize("text", ["", " ", "\n"])
def test_nothing_is_nowhere(text):
    assert alert_destinations(text, salt="s") == ()


@pytest.mark.parametrize("text", ["hunter2", "json://a/ hunter2", "slack:/hunter2", "://hunter2"])
def test_what_is_no_address_stops_the_start_and_is_not_repeated(text):
    with pytest.raises(ImproperlyConfigured, match="ALERT_URLS: address 1 cannot be read") as raised:
        alert_destinations(text, salt="s")
    assert "hunter2" not in str(raised.value)


def test_a_key_is_the_same_for_the_same_address_of_the_same_site_alone():
    [here], [again] = alert_destinations("json://a/", salt="s"), alert_destinations("json://a/", salt="s")
    [elsewhere], [other] = alert_destinations("json://a/", salt="t"), alert_destinations("json://b/", salt="s")
    assert here.key == again.key
    assert len({here.key, elsewhere.key, other.key}) == 3


def test_an_address_is_not_in_what_is_printed_of_it():
    for to in alert_destinations(TEXT, salt="s"):
        assert to.url not in repr(to) + str(to)


def test_every_part_that_may_be_a_token_is_a_secret_as_written_and_as_meant():
    found = set(secrets_in(alert_destinations(TEXT, salt="s")))
    assert {"pa%24sword9", "pa$sword9", "123456", "AbCdEf", "987654"} <= found
    assert {to.url for to in alert_destinations(TEXT, salt="s")} <= found


def test_names_of_hosts_are_none():
    found = secrets_in(alert_destinations(TEXT, salt="s"))
    assert "127.0.0.1" not in found
    assert "example.org" not in found


def test_the_longest_secret_is_hidden_first():
    lengths = [len(secret) for secret in secrets_in(alert_destinations(TEXT, salt="s"))]
    assert lengths == sorted(lengths, reverse=True)
