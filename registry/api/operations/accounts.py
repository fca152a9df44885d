"""Operations of /api/v1/accounts, /sessions, /password-resets and /me."""

from __future__ import annotations

from registry.api.bodies import accounts as bodies
from registry.api.operations import keys
from registry.api.operations.common import PAGE, POST, UUID
from registry.api.operations.model import Answers, Operation, Parameter

TAG = ("Accounts and sessions", "账户与会话")

PARAMETERS = {
    "of_enterprise": Parameter(
        "query", "Only accounts of this enterprise", UUID, name="enterprise_id"
    ),
}

_GROUP = "accounts"
_WHO = "operator; an administrator within its enterprise"
_READERS = f"{_WHO}; reviewer, auditor"

OPERATIONS = (
    Operation(
        "POST",
        "/api/v1/accounts",
        "createAccount",
        "Make an account",
        "新建账户",
        _WHO,
        {201: Answers("Made", bodies.Account, headers=("Location",))},
        request=bodies.NewAccount,
        parameters=POST,
        refused=(404, 409, 429),
    ),
    Operation(
        "GET",
        "/api/v1/accounts",
        "listAccounts",
        "List accounts",
        "账户列表",
        _READERS,
        {200: Answers("A page", bodies.AccountPage)},
        parameters=("of_enterprise", *PAGE),
    ),
    Operation(
        "GET",
        "/api/v1/accounts/{id}",
        "getAccount",
        "Read an account",
        "查询账户",
        f"{_READERS}, the account itself",
        {200: Answers("The account", bodies.Account)},
        refused=(404,),
    ),
    Operation(
        "PATCH",
        "/api/v1/accounts/{id}",
        "changeAccount",
        "Give an account another role, disable or enable it",
        "修改账户角色或状态",
        _WHO,
        {200: Answers("Changed", bodies.Account)},
        request=bodies.AccountPatch,
        refused=(404, 409),
        notes="Not the account at work itself. Sessions and keys of what is disabled open nothing.",
    ),
    Operation(
        "DELETE",
        "/api/v1/accounts/{id}",
        "deleteAccount",
        "End an account for good; its name is not given out again",
        "删除账户（名称不再启用）",
        _WHO,
        {204: Answers("Deleted")},
        refused=(404, 409),
    ),
    Operation(
        "POST",
        "/api/v1/accounts/{id}/password-reset",
        "resetPassword",
        "Make a one-time token with which the owner sets the password",
        "签发一次性密码重置令牌",
        _WHO,
        {201: Answers("Made; the token is shown this once", bodies.PasswordReset)},
        parameters=POST,
        refused=(404, 409),
    ),
    *keys.of(
        "/api/v1/accounts",
        "Account",
        writers="operator, the account itself; for accounts of the node",
        readers="operator, reviewer, auditor, the account itself",
    ),
    Operation(
        "POST",
        "/api/v1/password-resets",
        "setPassword",
        "Set a password with a one-time token",
        "使用一次性令牌设置密码",
        "who has the token",
        {204: Answers("Set; all sessions of the account and its locks have ended")},
        request=bodies.UsedReset,
        refused=(429,),
        group=_GROUP,
        bearer=False,
    ),
    Operation(
        "POST",
        "/api/v1/sessions",
        "signIn",
        "Sign in with name and password",
        "账户登录",
        "everybody",
        {201: Answers("The session", bodies.Session)},
        request=bodies.Credentials,
        refused=(429,),
        notes="Too many attempts are refused for at most a quarter of an hour (Retry-After).",
        group=_GROUP,
        bearer=False,
    ),
    Operation(
        "DELETE",
        "/api/v1/sessions/current",
        "signOut",
        "End the session of the bearer token",
        "退出登录",
        "who has signed in",
        {204: Answers("Ended")},
        refused=(409,),
        group=_GROUP,
    ),
    Operation(
        "GET",
        "/api/v1/me",
        "whoAmI",
        "Who the caller is, and what it may do",
        "查询当前身份与权限",
        "everybody",
        {200: Answers("The caller", bodies.Me)},
        group=_GROUP,
    ),
    Operation(
        "PUT",
        "/api/v1/me/password",
        "changePassword",
        "Change one's own password; other sessions end",
        "修改自己的密码",
        "who has signed in",
        {204: Answers("Changed")},
        request=bodies.PasswordChange,
        refused=(429,),
        group=_GROUP,
    ),
)
