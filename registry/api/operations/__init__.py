"""The table of operations: what the OpenAPI document says of each route beside its bodies.

A file a resource has its TAG (in English and Chinese), the PARAMETERS of its own and OPERATIONS.
"""

from __future__ import annotations

from registry.api.operations import (
    accounts,
    common,
    enterprises,
    exports,
    groups,
    identifiers,
    imports,
    keys,
    labels,
    log,
    mappings,
    outbox,
    prefixes,
    ranges,
    relations,
    snms,
    statistics,
    templates,
)
from registry.api.operations.model import Answers, Operation, Parameter

__all__ = ["OPERATIONS", "PARAMETERS", "TAGS", "Answers", "Operation", "Parameter"]

_RESOURCES = {
    "accounts": accounts,
    "enterprises": enterprises,
    "prefixes": prefixes,
    "identifiers": identifiers,
    "ranges": ranges,
    "exports": exports,
    "groups": groups,
    "relations": relations,
    "imports": imports,
    "mappings": mappings,
    "labels": labels,
    "log": log,
    "templates": templates,
    "snms": snms,
    "statistics": statistics,
    "outbox": outbox,
}

TAGS: dict[str, tuple[str, str]] = {name: each.TAG for name, each in _RESOURCES.items()}

_NAMED = tuple(
    named for each in (common, keys, *_RESOURCES.values()) for named in each.PARAMETERS.items()
)
PARAMETERS: dict[str, Parameter] = dict(_NAMED)
if len(PARAMETERS) < len(_NAMED):
    raise RuntimeError("two resources have a parameter with the same key")

OPERATIONS: tuple[Operation, ...] = tuple(
    operation for each in _RESOURCES.values() for operation in each.OPERATIONS
)
