"""How answers of the Handle protocol are counted: resolutions, and what else there is to ask."""

from __future__ import annotations

from protocol.errors import ResponseCode
from protocol.handle.header import OpCode
from registry.metrics import Row
from resolver.lookup import RESULTS

_CODES = frozenset(int(code) for code in ResponseCode)
_OPERATIONS: dict[int, str] = {
    OpCode.RESOLUTION: "resolution",
    OpCode.GET_SITE_INFO: "site",
    OpCode.CREATE_HANDLE: "identifiers",
    OpCode.DELETE_HANDLE: "identifiers",
    OpCode.ADD_VALUE: "identifiers",
    OpCode.REMOVE_VALUE: "identifiers",
    OpCode.MODIFY_VALUE: "identifiers",
    OpCode.LIST_HANDLES: "identifiers",
    OpCode.CHALLENGE_ANSWER: "proof",
    OpCode.VERIFY_CHALLENGE: "proof",
    OpCode.HOME_PREFIX: "prefixes",
    OpCode.UNHOME_PREFIX: "prefixes",
    OpCode.LIST_HOMED_PREFIXES: "prefixes",
    OpCode.SESSION_SETUP: "session",
    OpCode.SESSION_TERMINATE: "session",
    OpCode.SESSION_EXCHANGE_KEY: "session",
    OpCode.LOGIN: "session",
}
_RESULTS = {
    ResponseCode.SUCCESS: "done",
    ResponseCode.AUTHENTICATION_NEEDED: "challenged",
    ResponseCode.ERROR: "failed",
    ResponseCode.SERVER_BUSY: "failed",
    ResponseCode.SERVER_DISABLED: "failed",
}


def count(row: Row, transport: str, op_code: int, code: int, seconds: float) -> str | None:
    """Count the answer to one request; return its result if it is that of a resolution.

    op_code: of the answer, so that what a challenge held up counts as what it is. A resolution
    counts as one when it has told what there is, or failed; not when who asks is challenged or
    may not know, which is no error of the node.
    """
    known = ResponseCode(code) if code in _CODES else ResponseCode.ERROR
    outcome = _RESULTS.get(known, "refused")
    if op_code == OpCode.RESOLUTION and (known in RESULTS or outcome == "failed"):
        result = RESULTS.get(known, "error")
        row.add("idnode_resolutions", transport, result)
        row.observe("idnode_resolution_duration_seconds", transport, result, seconds=seconds)
        return result
    row.add("idnode_handle_operations", _OPERATIONS.get(op_code, "other"), outcome)
    return None
