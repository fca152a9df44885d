"""/api/v1/imports."""

from __future__ import annotations

from aiohttp import web

routes: list[web.RouteDef] = []
