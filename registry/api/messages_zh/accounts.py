"""Accounts, sessions, passwords and keys."""

from __future__ import annotations

SENTENCES = {
    "a token has {} to {} letters, digits or characters of -._~+/": (
        "令牌须为 {} 到 {} 个字母、数字或 -._~+/ 字符"
    ),
    "the token is another key's": "该令牌属于另一个密钥",
    "not 0 to {} hours": "必须是 0 到 {} 小时",
    "no key {}": "密钥 {} 不存在",
    "the key has ended: issue another": "该密钥已失效,请另行签发",
    "the {} is {}": "该{}{}",
    "no account {} of the node": "本节点没有账户 {}",
    "not a time to come, with its offset from UTC": "必须是带 UTC 偏移的将来时间",
    "not one or more of {}": "必须是以下一项或多项:{}",
    "a key cannot give scopes that it does not have itself": "密钥不能授予自身没有的权限范围",
    "there are {} keys already: revoke some first": "已有 {} 个密钥,请先吊销一部分",
    "a password has at least {} characters": "密码至少 {} 个字符",
    "a password has at most {} characters": "密码最多 {} 个字符",
    "a password holds no control characters": "密码不能含有控制字符",
    "the password holds the name of the account": "密码不能包含账户名",
    "easily guessed: made of common passwords, words, names, dates or rows of keys": (
        "密码容易被猜中:由常用密码、单词、姓名、日期或键盘序列组成"
    ),
    "too many sign in at this moment; come again": "当前登录人数过多,请稍后重试",
    "the role {}, and no other, belongs to an enterprise": "只有角色{}属于企业,其他角色不属于企业",
    "the name {} is taken, now or before": "账户名 {} 已被使用(或曾被使用)",
    "a name has 1 to 64 letters, digits or characters of ._@- and is not system": (
        "账户名须为 1 到 64 个字母、数字或 ._@- 字符,且不能是 system"
    ),
    "no account {}": "账户 {} 不存在",
    "nothing to change": "没有要修改的内容",
    "an account of the node is {}; that of an enterprise stays {}": (
        "节点账户的角色为{};企业账户的角色始终为{}"
    ),
    "not {} or {}": "不是{}或{}",
    "nobody changes the role or the state of his own account": "不能修改自己账户的角色或状态",
    "the present password is wrong": "当前密码错误",
    "the account is {}": "该账户{}",
    "the one-time token is unknown, used or too old": "一次性令牌不存在、已使用或已过期",
    "only for who has signed in by name and password": "仅限以账户名和密码登录的用户",
    "the name or the password is wrong": "账户名或密码错误",
    "this is the token of a key, not of a session: revoke the key": (
        "这是密钥而非会话的令牌,请吊销该密钥"
    ),
    "too many attempts to sign in; the lock ends by itself": "登录尝试过多,锁定将自动解除",
    "not the id of an enterprise": "不是企业 ID",
}
