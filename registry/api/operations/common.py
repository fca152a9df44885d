"""What operations of several resources have in common."""

from __future__ import annotations

from registry.api.operations.model import Parameter

UUID = {"type": "string", "format": "uuid"}

_TAG = r'(W/)?"[!#-~]*"'
_TAGS = {"type": "string", "pattern": rf"^(\*|{_TAG}( *, *{_TAG})*)$"}

PARAMETERS = {
    "id": Parameter("path", "Id of the resource", UUID),
    "prefix": Parameter("path", "Prefix, such as 88.118.35"),
    "at": Parameter(
        "query",
        "A moment that is past, as in RFC 3339: what held then",
        {"type": "string", "format": "date-time"},
    ),
    "cursor": Parameter("query", "next of the page before"),
    "limit": Parameter(
        "query",
        "Items on a page at most. A page of identifiers or of their versions ends earlier where"
        " their values have 8 MiB; `next` alone tells whether there are more",
        {"type": "integer", "minimum": 1, "maximum": 1000, "default": 100},
    ),
    "Idempotency-Key": Parameter(
        "header",
        "1 to 255 visible ASCII characters. The same request with the same key has one effect and"
        " gets the first answer again, for 24 hours, with Idempotency-Replayed: true; another"
        " request with the same key is refused with 422.",
        {"type": "string", "pattern": "^[!-~]{1,255}$"},
    ),
    "If-Match": Parameter(
        "header", "Write only if the ETag is one of these, or * if it is there", _TAGS
    ),
    "If-None-Match": Parameter(
        "header",
        "* writes only what is not there; with GET: 304 if the ETag is one of these",
        _TAGS,
    ),
}

PAGE = ("cursor", "limit")
POST = ("Idempotency-Key",)
