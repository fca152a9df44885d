"""Attachments of enterprises: what is taken, what is refused, and how they are given back."""

from __future__ import annotations

import asyncio
import hashlib
from typing import Any
from urllib.parse import quote

import pytest
import sqlalchemy as sa

from registry.enterprises.attachments import CHUNK_BYTES, MAX_BYTES, MAX_FILES
from tests.integration.enterprise_support import approved, file, step
from tests.integration.registry_client import Node
from tests.integration.tenants import PDF

PNG = b"\x89PNG\r\n\x1a\n" + b"\0\0\0\rIHDR" + b"x" * 40 + b"\0\0\0\0IEND\xae\x42\x60\x82"
JPEG = b"\xff\xd8\xff\xe0" + b"x" * 40 + b"\xff\xd9"


async def send(
    node: Node,
    token: str | None,
    enterprise: str,
    data: bytes = PDF,
    *,
    name: str = "licence.pdf",
    media_type: str = "application/pdf",
    **headers: str,
) -> tuple[int, Any]:
    path = f"/enterprises/{enterprise}/attachments?name={quote(name, safe='')}"
    status, answer, _ = await node.call(
        "POST", path, token, data, Content_Type=media_type, **headers
    )
    return status, answer


async def fetch(node: Node, token: str, path: str) -> tuple[int, dict[str, str], bytes]:
    headers = {"Authorization": f"Bearer {token}"}
    async with node.client.get(node.url(path), headers=headers) as response:
        return response.status, dict(response.headers), await response.read()


@pytest.mark.parametrize(
    ("name", "media_type", "data"),
    [
        ("营业执照 2026.pdf", "application/pdf", PDF + b"x" * 900),
        ("scan.PNG", "image/png", PNG),
        ("scan.jpeg", "image/jpeg", JPEG + b"\0" * 16),
        ("big.pdf", "application/pdf", b"%PDF-1.7" + b"7" * (MAX_BYTES - 14) + b"%%EOF\n"),
    ],
)
async def test_a_file_comes_back_as_it_was_and_is_never_shown_in_a_page(
    node: Node, name: str, media_type: str, data: bytes
) -> None:
    enterprise, session = await file(node, 1)
    status, made = await send(node, session, enterprise, data, name=name, media_type=media_type)
    assert status == 201, made
    assert (made["name"], made["size"], made["actor"]) == (name, len(data), "account:admin.1")
    assert made["sha256"] == hashlib.sha256(data).hexdigest()
    path = f"/enterprises/{enterprise}/attachments"
    for reader in (session, node.reviewer, node.operator):
        status, headers, content = await fetch(node, reader, f"{path}/{made['id']}")
        assert (status, headers["Content-Type"]) == (200, media_type)
        assert content == data
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Content-Security-Policy"] == "default-src 'none'; sandbox"
        assert headers["Content-Disposition"] == (
            f"attachment; filename*=UTF-8''{quote(name, safe='')}"
        )
    listed = (await node.call("GET", path, node.reviewer))[1]["items"]
    assert listed == [made]
    async with node.database.begin() as connection:
        sizes = await connection.scalars(sa.text("SELECT length(data) FROM attachment_chunks"))
        assert max(sizes) <= CHUNK_BYTES


@pytest.mark.parametrize(
    "name",
    [
        "../licence.pdf",
        "a/b.pdf",
        "a\\b.pdf",
        "C:licence.pdf",
        ".pdf",
        ".licence.pdf",
        "a..pdf",
        "licence.pdf\0.png",
        "licence\r\nX: y.pdf",
        "licence\u202efdp.pdf",
        "licence.exe",
        "licence.png",
        "licence.pdf.",
        "licence.pdf ",
        "x" * 97 + ".pdf",
        "",
    ],
)
async def test_names_that_could_mislead_are_refused(node: Node, name: str) -> None:
    enterprise, session = await file(node, 1)
    before = await node.counts()
    status, refused = await send(node, session, enterprise, name=name)
    assert status in (400, 422), refused
    assert refused["field"] == "name", refused
    assert await node.counts() == before


@pytest.mark.parametrize(
    ("media_type", "name", "data", "status"),
    [
        ("application/pdf", "a.pdf", PNG, 415),
        ("application/pdf", "a.pdf", b"MZ" + PDF, 415),
        ("image/png", "a.png", JPEG, 415),
        ("image/jpeg", "a.jpg", PDF, 415),
        ("image/svg+xml", "a.svg", b"<svg/>", 415),
        ("text/html", "a.pdf", b"<script>", 415),
        ("application/pdf", "a.pdf", PDF[:9], 422),
        ("image/png", "a.png", PNG[:-1], 422),
        ("image/png", "a.png", PNG + b"<script>", 422),
        ("image/jpeg", "a.jpg", JPEG[:-2], 422),
        ("application/pdf", "a.pdf", b"", 400),
        ("application/pdf", "a.pdf", PDF + b"x" * MAX_BYTES, 413),
    ],
)
async def test_what_is_not_such_a_file_is_refused(
    node: Node, media_type: str, name: str, data: bytes, status: int
) -> None:
    enterprise, session = await file(node, 1)
    before = await node.counts()
    got, refused = await send(node, session, enterprise, data, name=name, media_type=media_type)
    assert got == status, refused
    assert await node.counts() == before


async def test_a_file_without_a_length_is_bounded_too(node: Node) -> None:
    enterprise, session = await file(node, 1)

    async def parts() -> Any:
        yield PDF
        for _ in range(MAX_BYTES // CHUNK_BYTES + 1):
            yield b"x" * CHUNK_BYTES

    headers = {"Authorization": f"Bearer {session}", "Content-Type": "application/pdf"}
    path = node.url(f"/enterprises/{enterprise}/attachments?name=a.pdf")
    async with node.client.post(path, data=parts(), headers=headers) as response:
        assert response.status == 413


async def test_an_enterprise_has_a_bounded_number_of_files(node: Node) -> None:
    enterprise, session = await file(node, 1)
    for number in range(MAX_FILES - 1):
        assert (await send(node, session, enterprise, name=f"{number}.pdf"))[0] == 201
    answers = await asyncio.gather(
        *(send(node, session, enterprise, name=f"last{number}.pdf") for number in range(3))
    )
    assert sorted(status for status, _ in answers) == [201, 409, 409]


async def test_the_same_request_with_the_same_key_attaches_once(node: Node) -> None:
    enterprise, session = await file(node, 1)
    first = await send(node, session, enterprise, Idempotency_Key="one")
    assert first[0] == 201
    assert await send(node, session, enterprise, Idempotency_Key="one") == first
    other = await send(node, session, enterprise, PDF + b"x", Idempotency_Key="one")
    assert other[0] == 422
    assert len(await _listed(node, enterprise)) == 1


async def _listed(node: Node, enterprise: str) -> list[Any]:
    path = f"/enterprises/{enterprise}/attachments"
    items: list[Any] = (await node.call("GET", path, node.operator))[1]["items"]
    return items


async def test_what_was_reviewed_stays(node: Node) -> None:
    enterprise, session = await file(node, 1)
    made = (await send(node, session, enterprise))[1]
    path = f"/enterprises/{enterprise}/attachments/{made['id']}"
    await step(node, enterprise, "review")
    assert (await send(node, session, enterprise))[0] == 409
    assert (await node.call("DELETE", path, session))[0] == 409
    await step(node, enterprise, "reject", "cannot be read")
    assert (await node.call("DELETE", path, session))[0] == 204
    assert (await node.call("DELETE", path, session))[0] == 404
    async with node.database.begin() as connection:
        left = await connection.scalar(sa.text("SELECT count(*) FROM attachment_chunks"))
        lines = await connection.scalars(
            sa.text("SELECT action FROM audit_log WHERE action LIKE 'attachment.%' ORDER BY seq")
        )
        assert (left, list(lines)) == (0, ["attachment.add", "attachment.delete"])


async def test_only_people_who_may_change_a_filing_attach_to_it(node: Node) -> None:
    enterprise, session = await approved(node, 1)
    _, stranger = await file(node, 2)
    key = (await node.call("POST", f"/enterprises/{enterprise}/keys", session))[1]["key"]
    made = (await send(node, session, enterprise))[1]
    for token, status in ((key, 403), (stranger, 403), (node.reviewer, 403), (None, 401)):
        assert (await send(node, token, enterprise))[0] == status
    path = f"/enterprises/{enterprise}/attachments/{made['id']}"
    assert (await node.call("GET", path, stranger))[0] == 403
    assert (await node.call("DELETE", path, session))[0] == 409, "the approval rests on it"
    assert (await node.call("DELETE", path, node.operator))[0] == 204
    await step(node, enterprise, "close", "dissolved")
    assert (await send(node, node.operator, enterprise))[0] == 409
