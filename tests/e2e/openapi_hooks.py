"""Loaded by schemathesis: aims most of its requests at what is really registered.

Random ids would find 404 and little more. IDNODE_WORLD names a file in JSON: "kept" and "spare"
give values for parameters and members of bodies by their names. What ends things aims at the
spare ones.
"""

from __future__ import annotations

import json
import os
import random
import zlib
from pathlib import Path
from typing import Any

import schemathesis
from schemathesis import Case, HookContext

_WORLD = json.loads(Path(os.environ["IDNODE_WORLD"]).read_text())
_ENDS = ("/cancel", "/close", "/reject", "/revoke", "/rotate", "/suspend", "/transfer", "/withdraw")
_AIMED = 0.8
"""The share of parameters that name what is there."""


@schemathesis.hook
def before_call(context: HookContext, case: Case, kwargs: dict[str, Any]) -> None:
    """Put names of what is registered in place of invented ones, the same for the same case."""
    del context, kwargs
    chance = random.Random(zlib.crc32(_print_of(case)))
    ends = case.method in ("DELETE", "PATCH") or case.path.endswith(_ENDS)
    world = _WORLD["spare" if ends else "kept"]
    for place in (case.path_parameters, case.query, case.body):
        if isinstance(place, dict):
            _aim(place, world, _resource(case.path), chance)


def _print_of(case: Case) -> bytes:
    given = (case.method, case.path, case.path_parameters, case.query, case.body)
    return repr(given).encode(errors="backslashreplace")


def _resource(path: str) -> str:
    return path.removeprefix("/api/v1").split("/")[1]


def _aim(
    place: dict[str, Any], world: dict[str, Any], resource: str, chance: random.Random
) -> None:
    for name in place:
        known = world.get(f"{resource} {name}", world.get(name))
        if known is not None and chance.random() < _AIMED:
            place[name] = chance.choice(known)
