"""Audiences of values, partners and their groups."""

from __future__ import annotations

SENTENCES = {
    "a secret key is for nobody but its owner": "私密密钥只能由其所有者使用",
    "not enterprise:CREDIT-CODE, group:NAME, nor an identity such as 300:0.NA/88.118.36": (
        "既不是 enterprise:统一社会信用代码、group:分组名,也不是 300:0.NA/88.118.36 这样的身份"
    ),
    "the name of a group has 1 to 64 of a-z, 0-9, and between these . _ -": (
        "分组名为 1 到 64 个字符:a-z、0-9,中间可用 . _ -"
    ),
    "not an object of audience and partners": "不是含 audience 和 partners 的对象",
    "not public, partners or private": "不是 public、partners 或 private",
    "are only for the audience partners": "只用于 audience 为 partners 的值",
    "public read, the third of them, differs from access": "第三位(公开可读)与 access 不一致",
    "not a list of names": "不是名称的列表",
    "name one, or leave it out for group:partners": "至少写一个;省略则为 group:partners",
    "a value has at most {} partners; more make a group": "一个值最多 {} 个合作方,更多时请用分组",
    "a group has at most {} members": "一个分组最多 {} 个成员",
    "a group has no groups in it": "分组中不能包含分组",
    "an enterprise has at most {} groups": "一个企业最多 {} 个分组",
    "no group {}": "没有分组 {}",
    "say whose groups: ?enterprise_id=": "请指明企业:?enterprise_id=",
    "{} is not registered, or shows you nothing": "{} 未注册,或没有您可以查看的值",
}
