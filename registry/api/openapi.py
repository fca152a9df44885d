"""The OpenAPI 3.1 document, made of the table of operations and the structs of the bodies."""

from __future__ import annotations

import re
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

import msgspec

from registry import idempotency
from registry.api.bodies import identifiers, problems
from registry.api.operations import OPERATIONS, PARAMETERS, TAGS, Answers, Operation

VERSION = "1.0"
"""Version of the API, not of the program."""

_ALWAYS_REFUSED = (400, 401, 403, 503)
_WITH_BODY = (408, 413, 415, 422)
_IN_PATH = re.compile(r"\{([a-z_]+)\}")
_HEADERS = {
    "ETag": "Strong entity tag: the version",
    "Location": "Where the new resource is",
    "Idnode-Notice": "labels-lead-to-loopback where IDNODE_PUBLIC_URL is not set to an address"
    " that others reach; else left out",
}


def document(operations: Sequence[Operation] = OPERATIONS) -> dict[str, Any]:
    """Return the document as JSON-ready data."""
    types = _types(operations)
    references, schemas = msgspec.json.schema_components(
        types, ref_template="#/components/schemas/{name}"
    )
    schema_of = dict(zip(types, references, strict=True))
    paths: dict[str, dict[str, Any]] = {}
    for operation in operations:
        described = _operation(operation, schema_of)
        paths.setdefault(operation.path, {})[operation.method.lower()] = described
    used = {operation.tag for operation in operations}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "idnode registry",
            "version": VERSION,
            "description": "Registration of enterprises, prefixes and identifiers at a secondary"
            " node (二级节点). Errors are application/problem+json (RFC 9457):"
            " `field` is the place in the request, `rule` the rule that is broken, in a word that"
            " stays; `title` and `detail` are in Chinese where Accept-Language prefers it.",
        },
        "tags": [
            {"name": name, "description": english, "x-description-zh": chinese}
            for name, (english, chinese) in TAGS.items()
            if name in used
        ],
        "security": [{"bearer": []}],
        "paths": paths,
        "components": {
            "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}},
            "parameters": {name: _parameter(name) for name in PARAMETERS},
            "schemas": schemas,
        },
    }


def _types(operations: Sequence[Operation]) -> list[Any]:
    types: list[Any] = [problems.Problem, identifiers.Value]
    for operation in operations:
        types += [operation.request, *(answer.body for answer in operation.answers.values())]
    return list(dict.fromkeys(type_ for type_ in types if type_ is not None))


def _operation(operation: Operation, schema_of: dict[Any, Any]) -> dict[str, Any]:
    names = (*_IN_PATH.findall(operation.path), *operation.parameters)
    result: dict[str, Any] = {
        "operationId": operation.name,
        "tags": [operation.tag],
        "summary": operation.summary,
        "x-summary-zh": operation.summary_zh,
        "description": f"For: {operation.who}. {operation.notes}".strip(),
        "parameters": [{"$ref": f"#/components/parameters/{name}"} for name in names],
        "responses": {},
    }
    if not operation.bearer:
        result["security"] = []
    if _has_body(operation):
        schema = schema_of.get(operation.request, {})
        result["requestBody"] = {
            "required": not operation.request_optional,
            # what is no JSON is a file of lines, which a schema does not describe
            "content": {
                media: {"schema": schema if media == "application/json" else {}}
                for media in operation.request_media
            },
        }
    for status, answer in operation.answers.items():
        result["responses"][str(status)] = _answer(answer, schema_of)
    if not operation.problems:
        return result
    for status in sorted(refusals(operation)):
        result["responses"][str(status)] = {
            "description": HTTPStatus(status).phrase,
            "content": {"application/problem+json": {"schema": schema_of[problems.Problem]}},
        }
    return result


def _has_body(operation: Operation) -> bool:
    return operation.request is not None or operation.request_media != ("application/json",)


def refusals(operation: Operation) -> set[int]:
    """Return the statuses of the refusals of an operation."""
    return {
        *_ALWAYS_REFUSED,
        *operation.refused,
        *(_WITH_BODY if _has_body(operation) else ()),
        *((422,) if idempotency.HEADER in operation.parameters else ()),
    }


def _answer(answer: Answers, schema_of: dict[Any, Any]) -> dict[str, Any]:
    result: dict[str, Any] = {"description": answer.means}
    if answer.headers:
        result["headers"] = {
            name: {"description": _HEADERS[name], "schema": {"type": "string"}}
            for name in answer.headers
        }
    if answer.body is not None:
        schema = schema_of[answer.body]
        result["content"] = {
            media: {"schema": schema} for media in (answer.media_type, *answer.others)
        }
    return result


def _parameter(name: str) -> dict[str, Any]:
    parameter = PARAMETERS[name]
    return {
        "name": parameter.name or name,
        "in": parameter.where,
        "required": parameter.required or parameter.where == "path",
        "description": parameter.description,
        "schema": parameter.schema,
    }
