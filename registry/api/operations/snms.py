"""Operations of the SNMS API, and those on its users."""

from __future__ import annotations

from registry.api.bodies import snms as bodies
from registry.api.bodies import snms_users as users
from registry.api.operations.common import PAGE, POST, UUID
from registry.api.operations.model import Answers, Operation, Parameter
from registry.snms import template_wire as templates
from registry.snms import wire

TAG = ("SNMS API, versions 3 and 5", "SNMS 接口（V3、V5）")

PARAMETERS = {
    "user_id": Parameter("path", "Id of the user", UUID),
    "snms_prefix": Parameter("query", "Prefix of the template", name="prefix", required=True),
    "snms_version": Parameter("query", "Name of the template", name="version", required=True),
    "handle": Parameter("query", "Identifier, such as 88.118.35/SN-1", required=True),
}

_GROUP = "snms"
_USERS = "/api/v1/enterprises/{id}/snms-users"
_WRITERS = "operator, the enterprise itself; scope enterprise:write"
_TOKEN = "whoever has a token of this API, within its enterprise"  # noqa: S105
_PERHAPS = "The answer of a write with HTTP status 504 means: perhaps done. Send it again."

_USER_OPERATIONS = (
    Operation(
        "POST",
        _USERS,
        "createSnmsUser",
        "Make a user of the SNMS API for an application",
        "新建 SNMS 接口用户",
        _WRITERS,
        {201: Answers("Made", users.SnmsUser)},
        request=users.NewSnmsUser,
        parameters=POST,
        refused=(404, 409, 429),
        group=_GROUP,
    ),
    Operation(
        "GET",
        _USERS,
        "listSnmsUsers",
        "List the users of the SNMS API",
        "SNMS 接口用户列表",
        "operator, reviewer, auditor, the enterprise itself; scope enterprise:read",
        {200: Answers("A page", users.SnmsUserPage)},
        parameters=PAGE,
        refused=(404,),
        group=_GROUP,
    ),
    Operation(
        "DELETE",
        f"{_USERS}/{{user_id}}",
        "deleteSnmsUser",
        "Delete a user of the SNMS API; its tokens end",
        "删除 SNMS 接口用户（其令牌随即失效）",
        _WRITERS,
        {204: Answers("Deleted")},
        refused=(404,),
        group=_GROUP,
    ),
)


def _get_token(path: str, name: str, summary: str, summary_zh: str) -> Operation:
    return Operation(
        "POST",
        path,
        name,
        summary,
        summary_zh,
        "users of the SNMS API and administrators",
        {200: Answers("A token that lives for 24 hours, or why there is none", _TOKEN_ANSWER)},
        request=wire.SnmsCredentials,
        group=_GROUP,
        bearer=False,
        problems=False,
    )


def _write(  # noqa: PLR0917
    method: str,
    path: str,
    name: str,
    summary: str,
    summary_zh: str,
    request: object,
    answer: object = bodies.SnmsAnswer,
) -> Operation:
    return Operation(
        method,
        path,
        name,
        summary,
        summary_zh,
        _TOKEN,
        {
            200: Answers("Done, or why not", answer),
            504: Answers("Perhaps done", bodies.SnmsAnswer),
        },
        request=request,
        notes=_PERHAPS,
        group=_GROUP,
        problems=False,
    )


def _template(  # noqa: PLR0917
    method: str,
    number: int,
    does: str,
    summary: str,
    summary_zh: str,
    request: object = None,
    answer: object = bodies.SnmsAnswer,
) -> Operation:
    return Operation(
        method,
        f"/snms/api/v{number}/template",
        f"snmsV{number}{does}Template",
        summary,
        f"{summary_zh}（V{number}）",
        _TOKEN,
        {200: Answers("Done, or why not", answer)},
        request=request,
        parameters=() if request else ("snms_prefix", "snms_version"),
        group=_GROUP,
        problems=False,
    )


_TOKEN_ANSWER = bodies.SnmsTokenAnswer
_DATA = "/identityv2/data"

OPERATIONS = (
    *_USER_OPERATIONS,
    _get_token("/identity/token", "snmsToken", "Get a token", "身份认证（明文传输）"),
    _get_token(
        "/identity/token/v1",
        "snmsTokenHashed",
        "Get a token with sha256hex(sha256hex(password) + yyyy-MM-dd)",
        "身份认证（密文传输）",
    ),
    Operation(
        "GET",
        f"{_DATA}/detail",
        "snmsDetail",
        "Read an identifier",
        "查询标识",
        _TOKEN,
        {200: Answers("What is registered, or why it is not told", bodies.SnmsDetailAnswer)},
        parameters=("handle",),
        group=_GROUP,
        problems=False,
    ),
    _write("POST", _DATA, "snmsCreate", "Register an identifier", "注册标识", wire.SnmsRecord),
    _write("PUT", _DATA, "snmsUpdate", "Replace an identifier", "更新标识", wire.SnmsRecord),
    _write("DELETE", _DATA, "snmsDelete", "Delete an identifier", "删除标识", wire.SnmsHandle),
    _write(
        "POST",
        f"{_DATA}/batchCreate",
        "snmsBatchCreate",
        "Register up to 2000 identifiers, each by itself",
        "批量注册标识",
        list[wire.SnmsRecord],
        bodies.SnmsBatchAnswer,
    ),
    _write(
        "PUT",
        f"{_DATA}/batchUpdate",
        "snmsBatchUpdate",
        "Replace up to 2000 identifiers, each by itself",
        "批量更新标识",
        list[wire.SnmsRecord],
        bodies.SnmsBatchAnswer,
    ),
    _write(
        "DELETE",
        f"{_DATA}/batchDelete",
        "snmsBatchDelete",
        "Delete up to 2000 identifiers, each by itself",
        "批量删除标识",
        list[wire.Handle],
        bodies.SnmsDeletionAnswer,
    ),
    _template("GET", 3, "Get", "Read a template", "查询数据模板", None, bodies.SnmsTemplateAnswer3),
    _template("GET", 5, "Get", "Read a template", "查询数据模板", None, bodies.SnmsTemplateAnswer5),
    *(
        operation
        for number in (3, 5)
        for operation in (
            _template(
                "POST",
                number,
                "Create",
                "Make a template and publish it",
                "新增数据模板",
                templates.SnmsTemplate,
            ),
            _template(
                "DELETE",
                number,
                "Delete",
                "Withdraw a template",
                "删除数据模板",
                templates.SnmsTemplateName,
            ),
        )
    ),
    _template(
        "PUT",
        5,
        "Change",
        "Publish the next version of a template; items that are not named stay",
        "修改数据模板",
        templates.SnmsTemplateChange,
    ),
)
