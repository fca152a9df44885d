"""pyhandle, unmodified, lives its whole life with our node over HTTPS."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("pyhandle", reason="pyhandle is not installed")

from pyhandle.client.resthandleclient import RESTHandleClient
from pyhandle.handleclient import PyHandleClient
from pyhandle.handleexceptions import (
    GenericHandleError,
    HandleAlreadyExistsException,
    HandleAuthenticationError,
    HandleNotFoundException,
)

from tests.integration import rest_support
from tests.integration.rest_support import (
    KEY_ID,
    OTHER_ID,
    PREFIX,
    SECRET,
    SECRET_ID,
    Front,
    client_certificate,
)
from tests.interop.conftest import CLIENTS

NAME = f"{PREFIX}/Pump-7"


@pytest.fixture(scope="module", autouse=True)
def named() -> None:
    CLIENTS.append(f"pyhandle:{metadata.version('pyhandle')}")


@pytest.fixture
async def front(database_url: str, tmp_path: Path) -> AsyncIterator[Front]:
    async with rest_support.running(database_url, tmp_path) as front:
        yield front


def connect(front: Front, user: str = SECRET_ID, password: str = SECRET, **more: Any) -> Any:
    return RESTHandleClient.instantiate_with_username_and_password(
        front.https, user, password, HTTPS_verify=str(front.certificate), **more
    )


def only_url(client: Any, name: str = NAME) -> str:
    url: str = client.get_value_from_handle(name, "URL")
    return url


async def test_an_identifier_is_registered_read_changed_and_deleted(front: Front) -> None:
    def life() -> None:
        client = connect(front)
        assert client.retrieve_handle_record_json(NAME) is None
        made = client.register_handle(NAME, "https://a.example/泵", "abc", OWNER="Pump Works")
        assert made == NAME
        record = client.retrieve_handle_record_json(NAME)
        assert record["handle"] == NAME
        assert client.retrieve_handle_record(NAME)["CHECKSUM"] == "abc"
        admin = next(one for one in record["values"] if one["type"] == "HS_ADMIN")
        assert admin["data"]["value"]["handle"] == f"0.NA/{PREFIX}"
        assert admin["data"]["value"]["index"] == 200

        client.modify_handle_value(NAME, URL="https://b.example", COLOUR="red", ttl=60)
        assert only_url(client) == "https://b.example"
        assert client.get_value_from_handle(NAME, "COLOUR") == "red"
        client.modify_handle_value(NAME, OWNER="Works", SIZE="9", add_if_not_exist=False)
        assert client.get_value_from_handle(NAME, "SIZE") is None
        client.add_handle_value(NAME, SIZE="10")
        assert client.get_value_from_handle(NAME, "SIZE") == "10"

        client.delete_handle_value(NAME, "COLOUR")
        client.delete_handle_value(NAME, ["CHECKSUM", "SIZE"])
        left = {one["type"] for one in client.retrieve_handle_record_json(NAME)["values"]}
        assert left == {"URL", "OWNER", "HS_ADMIN"}

        client.delete_handle(NAME)
        assert client.retrieve_handle_record_json(NAME) is None
        with pytest.raises(HandleNotFoundException):
            client.delete_handle(NAME)
        with pytest.raises(HandleNotFoundException):
            client.modify_handle_value(NAME, URL="https://c.example")

    await asyncio.to_thread(life)
    actions = await front.sql.fetch("SELECT action, actor FROM audit_log ORDER BY seq")
    assert [row["action"] for row in actions] == [
        "identifier.put",
        *["identifier.patch"] * 5,
        "identifier.delete",
    ]
    assert {row["actor"] for row in actions} == {f"handle:{SECRET_ID}"}


async def test_what_is_there_is_overwritten_only_on_demand(front: Front) -> None:
    def life() -> None:
        client = connect(front)
        client.register_handle(NAME, "https://a.example")
        with pytest.raises(HandleAlreadyExistsException):
            client.register_handle(NAME, "https://b.example")
        assert only_url(client) == "https://a.example"
        client.register_handle(NAME, "https://b.example", overwrite=True)
        assert only_url(client) == "https://b.example"

    await asyncio.to_thread(life)


async def test_records_are_registered_as_json_and_under_new_names(front: Front) -> None:
    def life() -> None:
        client = connect(front)
        entries = [
            {"index": 1, "type": "URL", "data": "https://bare.example"},
            {"index": 2, "type": "NOTE", "data": {"format": "string", "value": "n"}, "ttl": 60},
        ]
        client.register_handle_json(NAME, entries)
        assert only_url(client) == "https://bare.example"
        minted = client.generate_and_register_handle(PREFIX, "https://new.example", "sum")
        assert minted.startswith(f"{PREFIX}/")
        assert only_url(client, minted) == "https://new.example"
        kept = client.retrieve_handle_record_json(NAME, indices=[2])
        assert [one["index"] for one in kept["values"]] == [2]
        typed = client.retrieve_handle_record_json(NAME, type=["URL", "NOTE"])
        assert len(typed["values"]) == 2

    await asyncio.to_thread(life)


async def test_wrong_credentials_change_nothing(front: Front) -> None:
    def life() -> None:
        owner = connect(front)
        owner.register_handle(NAME, "https://a.example")
        wrong = connect(front, password="wrong")
        for attempt in (
            lambda: wrong.register_handle(f"{PREFIX}/new", "https://x.example"),
            lambda: wrong.modify_handle_value(NAME, URL="https://x.example"),
            lambda: wrong.delete_handle_value(NAME, "URL"),
            lambda: wrong.delete_handle(NAME),
        ):
            with pytest.raises(HandleAuthenticationError):
                attempt()
        stranger = connect(front, OTHER_ID)
        with pytest.raises(GenericHandleError):
            stranger.modify_handle_value(NAME, URL="https://x.example")
        with pytest.raises(HandleNotFoundException):
            connect(front, f"301:0.NA/{PREFIX}9")
        assert only_url(owner) == "https://a.example"

    await asyncio.to_thread(life)


async def test_without_tls_it_reads_and_may_not_write(front: Front) -> None:
    def life() -> None:
        connect(front).register_handle(NAME, "https://a.example")
        reader = RESTHandleClient.instantiate_for_read_access(front.http)
        assert only_url(reader) == "https://a.example"
        writer = RESTHandleClient.instantiate_with_username_and_password(
            front.http, SECRET_ID, SECRET
        )
        with pytest.raises(HandleAuthenticationError):
            writer.delete_handle(NAME)

    await asyncio.to_thread(life)


async def test_a_certificate_stands_for_a_password(front: Front, tmp_path: Path) -> None:
    certificate = client_certificate(tmp_path / "client.pem", uid=KEY_ID)
    credentials = tmp_path / "credentials.json"
    credentials.write_text(
        json.dumps(
            {
                "client": "rest",
                "handle_server_url": front.https,
                "certificate_and_key": str(certificate),
                "handleowner": f"200:0.NA/{PREFIX}",
            }
        )
    )

    def life() -> None:
        from pyhandle.clientcredentials import PIDClientCredentials

        known = PIDClientCredentials.load_from_JSON(str(credentials))
        client = PyHandleClient("rest").instantiate_with_credentials(
            known, HTTPS_verify=str(front.certificate)
        )
        client.register_handle(NAME, "https://a.example")
        client.modify_handle_value(NAME, URL="https://b.example")
        assert only_url(client) == "https://b.example"
        client.delete_handle(NAME)
        assert client.retrieve_handle_record_json(NAME) is None

    await asyncio.to_thread(life)
