"""/api/v1/labels, and the label of one identifier."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence

import msgspec
from aiohttp import web

from protocol.errors import Busy, Conflict, InvalidHandle, InvalidValue
from protocol.identifier import Identifier
from registry.api.bodies import labels as bodies
from registry.api.identifiers import PATH, path_identifier
from registry.api.places import Places, Tenant
from registry.api.problems import chinese_wanted
from registry.api.requests import REGISTRY, open_work, read_body, read_query
from registry.api.streams import Pace, cut_off
from registry.labels import archive, links, pictures, selection, symbols
from registry.labels.pictures import Measures
from registry.labels.symbols import Symbol

MAX_AT_ONCE = 4
"""Requests for many labels that one process works on, half of them of a tenant."""

STREAM_SECONDS = 300.0
"""Time in which an archive of pictures must have been taken."""

MAX_MODULES = 20_000_000
"""Modules of all symbols of one request: 5 000 symbols of 63 a side, or 638 of the largest."""

PLACES: web.AppKey[Places] = web.AppKey("labels", Places)

NOTICE = "Idnode-Notice"
"""Header field of labels that will not do what labels are for; a word says why."""

LOOPBACK = "labels-lead-to-loopback"

_FOOT = "These labels lead to the node's own machine alone: set IDNODE_PUBLIC_URL"
_FOOT_ZH = "这些标签只能在节点本机打开:请设置 IDNODE_PUBLIC_URL"
_UNPLAIN = re.compile(r"[^A-Za-z0-9.-]+")

Labels = Sequence[tuple[Identifier, Symbol]]


def _full() -> Busy:
    return Busy("the node makes as many labels as it does at once")


def add_places(app: web.Application) -> None:
    """Give an application the places of its labels."""
    app[PLACES] = Places(MAX_AT_ONCE, each=MAX_AT_ONCE // 2, full=_full)


async def one(request: web.Request) -> web.Response:
    """GET /api/v1/identifiers/{prefix}/{suffix}/label."""
    how = read_query(request, bodies.Label)
    asked = path_identifier(request, sub_resource="label")
    _, (identifier,) = await _registered(request, [asked], lambda _: None)
    symbol = symbols.encode(_link(request, identifier), how.symbol, how.level)
    drawn = await asyncio.to_thread(_picture, identifier, symbol, how.format, _measures(how))
    return web.Response(
        body=drawn,
        headers={
            "Content-Type": pictures.MEDIA_TYPES[how.format],
            "Content-Security-Policy": "default-src 'none'",
            "X-Content-Type-Options": "nosniff",
            **_notice(request),
        },
    )


async def many(request: web.Request) -> web.StreamResponse:
    """POST /api/v1/labels."""
    body = await read_body(request, bodies.NewLabels)
    _check_parts(body)
    place = _place_in_range if body.identifiers is None else _place_in_list
    tenant, identifiers = await _registered(request, _selected(body), place)
    async with request.app[PLACES].hold(tenant):
        labels = await _encoded(request, body, identifiers)
        if body.format == "pdf":
            return await _sheets(request, body, labels)
        return await _archive(request, body, labels)


async def _encoded(
    request: web.Request, body: bodies.NewLabels, identifiers: Sequence[Identifier]
) -> Labels:
    labels, modules = [], 0
    for identifier in identifiers:
        symbol = symbols.encode(_link(request, identifier), body.symbol, body.level)
        modules += symbol.size**2
        if modules > MAX_MODULES:
            raise InvalidValue(
                f"the symbols have more than {MAX_MODULES} modules together: ask for fewer",
                field="identifiers" if body.range is None else "range",
            )
        labels.append((identifier, symbol))
        await asyncio.sleep(0)  # a label takes a millisecond: others have their turn
    return labels


def _check_parts(body: bodies.NewLabels) -> None:
    """Refuse parts that would be without effect. Raises InvalidValue."""
    if (body.identifiers is None) == (body.range is None):
        field = "identifiers" if body.range is None else "range"
        raise InvalidValue("give identifiers or range, one of them", field=field)
    if body.format == "pdf":
        if body.module_mm is not None:
            raise InvalidValue("on a sheet modules are as large as fits", field="module_mm")
    elif body.sheet is not None:
        raise InvalidValue("pictures stand on no sheet", field="sheet")
    if body.format != "png" and body.dpi is not None:
        raise InvalidValue("only a png has pixels", field="dpi")


def _selected(body: bodies.NewLabels) -> list[Identifier]:
    if body.range is not None:
        try:
            return selection.members(body.range.prefix, body.range.first, body.range.last)
        except InvalidHandle as error:
            raise error.at("range") from None
    return selection.listed(body.identifiers or ())


def _place_in_list(position: int) -> str:
    return f"identifiers[{position}]"


def _place_in_range(_position: int) -> str:
    return "range"


async def _registered(
    request: web.Request, identifiers: Sequence[Identifier], place: selection.Place
) -> tuple[Tenant, list[Identifier]]:
    """Return who asks, and the identifiers as they are written."""
    async with open_work(request) as work:
        await selection.check_owner(work, identifiers, place)
        tenant = work.principal.enterprise_id
    database = request.app[REGISTRY].database
    return tenant, await selection.registered(database, identifiers, place)


def _link(request: web.Request, identifier: Identifier) -> str:
    public_url = request.app[REGISTRY].public_url
    if public_url is None:
        raise Conflict("the node does not know its public address: set IDNODE_PUBLIC_URL")
    return links.link(public_url, identifier)


def _measures(how: bodies.Label | bodies.NewLabels) -> Measures:
    given = {name: getattr(how, name) for name in ("module_mm", "dpi", "quiet_zone")}
    return Measures(**{name: value for name, value in given.items() if value is not None})


def _picture(identifier: Identifier, symbol: Symbol, format_: str, measures: Measures) -> bytes:
    if format_ == pictures.PNG:
        return pictures.png(symbol, measures)
    return pictures.svg(symbol, str(identifier), measures)


async def _sheets(request: web.Request, body: bodies.NewLabels, labels: Labels) -> web.Response:
    # What makes PDF takes 15 MB, which a worker that never prints can do without.
    from registry.labels.sheets import Layout, Sheets  # noqa: PLC0415

    sheet = msgspec.structs.asdict(body.sheet or bodies.Sheet())
    layout = Layout(**sheet, quiet_zone=body.quiet_zone)
    title = " - ".join(dict.fromkeys(str(labels[at][0]) for at in (0, -1)))
    foot = _FOOT_ZH if chinese_wanted(request) else _FOOT
    document = Sheets(
        layout,
        title=title,
        font_file=request.app[REGISTRY].label_font,
        notice=foot if _notice(request) else None,
    )
    for identifier, symbol in labels:
        document.add(symbol, str(identifier))
        await asyncio.sleep(0)
    made = await asyncio.to_thread(document.finish)
    return web.Response(body=made, headers=_headers(request, "application/pdf", "pdf"))


async def _archive(
    request: web.Request, body: bodies.NewLabels, labels: Labels
) -> web.StreamResponse:
    measures = _measures(body)
    if body.format == pictures.PNG:
        pictures.check_pixels((symbol for _, symbol in labels), measures)
    # The largest is drawn before the answer begins: where it can be, all can.
    largest = max(labels, key=lambda label: label[1].size)
    await asyncio.to_thread(_picture, *largest, body.format, measures)
    files = (
        (
            _file_name(number, identifier, body.format),
            _picture(identifier, symbol, body.format, measures),
        )
        for number, (identifier, symbol) in enumerate(labels, 1)
    )
    response = web.StreamResponse(headers=_headers(request, "application/zip", "zip"))
    await response.prepare(request)
    pace = Pace()
    try:
        async with asyncio.timeout(STREAM_SECONDS):
            # A picture of many pixels takes a tenth of a second: resolution goes on meanwhile.
            pieces = archive.zipped(files)
            while (piece := await asyncio.to_thread(next, pieces, None)) is not None:
                await pace.write(response, piece)
            await pace.end(response)
    except Exception as error:  # whatever it is, an answer to it would stand within this one
        cut_off(request, error)
    return response


def _file_name(number: int, identifier: Identifier, format_: str) -> str:
    """Return a name that sorts in the order of the labels and is harmless in any file system."""
    return f"{number:04d}-{_UNPLAIN.sub('_', str(identifier))[:100]}.{format_}"


def _headers(request: web.Request, media_type: str, ending: str) -> dict[str, str]:
    return {
        "Content-Type": media_type,
        "Content-Disposition": f'attachment; filename="labels.{ending}"',
        "X-Content-Type-Options": "nosniff",
        **_notice(request),
    }


def _notice(request: web.Request) -> dict[str, str]:
    public_url = request.app[REGISTRY].public_url
    return {NOTICE: LOOPBACK} if public_url and links.leads_to_loopback(public_url) else {}


routes: list[web.RouteDef] = [
    web.get(PATH + "{prefix}/{suffix:(?s:.+)}/label", one, allow_head=False),
    web.post("/api/v1/labels", many),
]
