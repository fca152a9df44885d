"""Operations of /api/v1/mappings."""

from __future__ import annotations

from registry.api.bodies import imports as bodies
from registry.api.operations.common import PAGE
from registry.api.operations.model import Answers, Operation, Parameter
from registry.imports.mapping import Mapping

TAG = ("Mappings of columns", "列映射")

PARAMETERS = {
    "mapping": Parameter("path", "Name of a mapping, percent-encoded"),
    "mappings_prefix": Parameter(
        "query", "The prefix whose mappings are listed", name="prefix", required=True
    ),
}

_ONE = "/api/v1/mappings/{prefix}/{template}/{mapping}"
_WRITERS = "operator, the enterprise that holds the prefix; scope imports"
_READERS = "operator, reviewer, auditor, the enterprise that holds the prefix; scope imports"

OPERATIONS = (
    Operation(
        "GET",
        "/api/v1/mappings",
        "listMappings",
        "List the mappings of a prefix",
        "列映射列表",
        _READERS,
        {200: Answers("A page", bodies.MappingPage)},
        parameters=("mappings_prefix", *PAGE),
    ),
    Operation(
        "GET",
        _ONE,
        "getMapping",
        "Read a mapping of the columns of files to a template",
        "查询列映射",
        _READERS,
        {200: Answers("The mapping", bodies.StoredMapping)},
        refused=(404,),
    ),
    Operation(
        "PUT",
        _ONE,
        "putMapping",
        "Keep a mapping of the columns of files to a template",
        "保存列映射",
        _WRITERS,
        {
            201: Answers("Kept", bodies.StoredMapping),
            200: Answers("Replaced", bodies.StoredMapping),
        },
        request=Mapping,
        refused=(404, 409),
        notes="It must fit the newest version of the template that is published. An import takes a"
        " copy: what is changed later changes nothing for one under way.",
    ),
    Operation(
        "DELETE",
        _ONE,
        "deleteMapping",
        "Forget a mapping",
        "删除列映射",
        _WRITERS,
        {204: Answers("Forgotten")},
        refused=(404,),
    ),
)
