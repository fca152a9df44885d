"""Operations of relations between identifiers, of parts and of uses."""

from __future__ import annotations

from registry.api.bodies import relations as bodies
from registry.api.operations.common import PAGE, POST
from registry.api.operations.model import Answers, Operation, Parameter
from registry.relations.model import KINDS, MAX_DEPTH
from registry.relations.reading import MAX_EDGES
from registry.relations.statements import MAX_STATEMENTS

TAG = ("Relations", "标识关系")

PARAMETERS = {
    "kind": Parameter("path", "What the subject is to the target", {"enum": list(KINDS)}),
    "target": Parameter(
        "path",
        "An identifier, of this or of any other node, percent-encoded; plain slashes are allowed",
    ),
    "relation_kind": Parameter(
        "query", "Only relations of this kind", {"enum": list(KINDS)}, name="kind"
    ),
    "direction": Parameter(
        "query",
        "out: what is stated of the identifier; in: what others state about it",
        {"enum": ["out", "in"], "default": "out"},
    ),
    "depth": Parameter(
        "query",
        "Levels to follow",
        {"type": "integer", "minimum": 1, "maximum": MAX_DEPTH, "default": 1},
    ),
    "agreed": Parameter(
        "query",
        "Only what the owner of the whole (where-used: of the part) states itself, at each level:"
        " without what strangers claim",
        {"type": "boolean", "default": False},
    ),
    "parts_limit": Parameter(
        "query",
        "Items on a page",
        {"type": "integer", "minimum": 1, "maximum": 10_000, "default": 100},
        name="limit",
    ),
}

_IDENTIFIER = "/api/v1/identifiers/{prefix}/{suffix}"
_ONE = f"{_IDENTIFIER}/relations/{{kind}}/{{target}}"
_GROUP = "relations"
_READERS = (
    "operator, reviewer, auditor, the enterprise that holds the prefix; scope identifiers:read"
)
_WRITERS = "operator, the enterprise that holds the prefix of the subject; scope identifiers:write"
_PARTS = (
    "Each part once under each whole, level by level. What others state shows as far as they let"
    f" it. More than {MAX_EDGES} relations are not gone over at once."
)

OPERATIONS = (
    Operation(
        "PUT",
        _ONE,
        "putRelation",
        "State a relation, or who shall be told of it",
        "声明标识关系或修改其可见范围",
        _WRITERS,
        {
            201: Answers("Stated", bodies.Relation),
            200: Answers("It was stated already", bodies.Relation),
        },
        request=bodies.RelationAudience,
        request_optional=True,
        refused=(404, 409),
        notes="The subject must be registered here, and the target if its prefix is hosted here."
        " Under one prefix part-of and contains are the same relation from its two ends. 409 for"
        " what would close a circle.",
        group=_GROUP,
    ),
    Operation(
        "GET",
        _ONE,
        "getRelation",
        "Read a relation",
        "查询标识关系",
        _READERS,
        {200: Answers("It holds", bodies.Relation)},
        refused=(404, 422),
        group=_GROUP,
    ),
    Operation(
        "DELETE",
        _ONE,
        "deleteRelation",
        "Take a relation back; its history stays",
        "撤销标识关系（保留历史）",
        _WRITERS,
        {204: Answers("Taken back")},
        refused=(404, 409, 422),
        group=_GROUP,
    ),
    Operation(
        "GET",
        f"{_IDENTIFIER}/relations",
        "listRelations",
        "List relations of an identifier",
        "标识关系列表",
        _READERS,
        {200: Answers("A page", bodies.RelationPage)},
        parameters=("direction", "relation_kind", "at", *PAGE),
        refused=(404, 422),
        group=_GROUP,
    ),
    Operation(
        "GET",
        f"{_IDENTIFIER}/relations/history",
        "getRelationHistory",
        "List what an identifier stated, with who and when, the newest first",
        "标识关系变更历史",
        _READERS,
        {200: Answers("A page", bodies.RelationHistory)},
        parameters=PAGE,
        group=_GROUP,
    ),
    Operation(
        "GET",
        f"{_IDENTIFIER}/parts",
        "listParts",
        "List the parts of an identifier, down to a depth",
        "逐级查询组成部分",
        _READERS,
        {200: Answers("A page", bodies.PartPage)},
        parameters=("depth", "agreed", "at", "cursor", "parts_limit"),
        refused=(404, 422),
        notes=_PARTS,
        group=_GROUP,
    ),
    Operation(
        "GET",
        f"{_IDENTIFIER}/where-used",
        "listUses",
        "List what an identifier is a part of, up to a height",
        "逐级反查用途（所属产品）",
        _READERS,
        {200: Answers("A page", bodies.UsePage)},
        parameters=("depth", "agreed", "at", "cursor", "parts_limit"),
        refused=(404, 422),
        notes=_PARTS,
        group=_GROUP,
    ),
    Operation(
        "POST",
        "/api/v1/relations",
        "changeRelations",
        "State and take back many relations, all or none",
        "批量声明或撤销标识关系",
        _WRITERS,
        {200: Answers("Done", bodies.RelationCounts)},
        request=bodies.RelationChanges,
        parameters=POST,
        refused=(409,),
        notes=f"At most {MAX_STATEMENTS}; those of remove are taken back first, each must hold.",
    ),
)
