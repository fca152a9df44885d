"""Operations of /api/v1/log, and the proof of an identifier."""

from __future__ import annotations

from registry.api.bodies import log as bodies
from registry.api.operations.common import PAGE
from registry.api.operations.model import Answers, Operation, Parameter

TAG = ("Transparency log", "透明日志")

_NUMBER = {"type": "integer", "minimum": 0}

PARAMETERS = {
    "entry_start": Parameter("query", "The first leaf", _NUMBER, name="start", required=True),
    "entry_end": Parameter(
        "query", "The last leaf; at most 1 000 are answered", _NUMBER, name="end", required=True
    ),
    "leaf_index": Parameter("query", "The leaf, from 0 on", _NUMBER, required=True),
    "tree_size": Parameter("query", "Leaves of the tree; the newest head's if left out", _NUMBER),
    "first_size": Parameter(
        "query", "Leaves of the former tree", _NUMBER, name="first", required=True
    ),
    "second_size": Parameter(
        "query", "Leaves of the latter tree; the newest head's if left out", _NUMBER, name="second"
    ),
}

OPERATIONS = (
    Operation(
        "GET",
        "/api/v1/log/head",
        "getLogHead",
        "Read the newest signed tree head",
        "查询最新的签名树头",
        "everybody",
        {200: Answers("The head, with the public key that signed it", bodies.Head)},
        refused=(404,),
        notes="Keep it elsewhere: who has an old head can see that nothing under it has changed.",
        bearer=False,
    ),
    Operation(
        "GET",
        "/api/v1/log/entries",
        "getLogEntries",
        "Read lines of the audit log in the order of the tree",
        "按树中顺序查询审计日志",
        "operator, reviewer, auditor (scopes enterprise:read and identifiers:read)",
        {200: Answers("The lines", bodies.Entries)},
        parameters=("entry_start", "entry_end"),
        refused=(404, 422),
    ),
    Operation(
        "GET",
        "/api/v1/log/proofs/inclusion",
        "getInclusionProof",
        "Prove that a leaf is in the tree",
        "查询包含证明",
        "everybody with a token",
        {200: Answers("The path", bodies.Inclusion)},
        parameters=("leaf_index", "tree_size"),
        refused=(404, 422),
    ),
    Operation(
        "GET",
        "/api/v1/log/proofs/consistency",
        "getConsistencyProof",
        "Prove that a tree is the beginning of a later one",
        "查询一致性证明",
        "everybody with a token",
        {200: Answers("The path", bodies.Consistency)},
        parameters=("first_size", "second_size"),
        refused=(404, 422),
    ),
    Operation(
        "GET",
        "/api/v1/identifiers/{prefix}/{suffix}/proof",
        "getIdentifierProof",
        "Prove what the audit log says of an identifier",
        "查询标识的审计证明",
        "operator, reviewer, auditor, the enterprise that holds the prefix",
        {200: Answers("Lines that name the identifier, oldest first", bodies.IdentifierProof)},
        parameters=PAGE,
        refused=(404,),
        notes="At most 100 in a page. An identifier that came by an import or a range is attested"
        " by the lines of that import or range.",
        group="log",
    ),
)
