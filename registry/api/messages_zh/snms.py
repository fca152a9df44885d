"""The SNMS API and its users; what its guide words itself stands in registry.api.snms_answers."""

from __future__ import annotations

SENTENCES = {
    # registry.snms.users
    "the SNMS API has room for {} characters of a password": "SNMS 接口的密码最多 {} 个字符",
    "this node has no key for hashed passwords": "本节点没有用于密文密码的密钥",
    "an enterprise has at most {} users of the SNMS API": "一个企业最多 {} 个 SNMS 接口用户",
    "the name {} is taken": "名称 {} 已被使用",
    "no user {}": "用户 {} 不存在",
    # registry.snms.records
    "an identifier has the form prefix/suffix": "标识的形式应为“前缀/后缀”",
    "a prefix handle is not the identifier of an object": "前缀标识不是对象的标识",
    "{} is registered already": "{} 已注册",
    "{} is being changed by others; try again": "{} 正在被他人修改,请重试",
    # registry.snms.templates
    "template {} is being changed by others; try again": "模板 {} 正在被他人修改,请重试",
    "the template has items that are not text: use /api/v1/templates": (
        "模板含有非字符型的属性,请使用 /api/v1/templates"
    ),
    # registry.api.snms_batches
    "must be a list": "应为列表",
    "the body must be a list": "请求体应为列表",
    "a batch {} at most {} identifiers": "批量{}最大支持{}条",
    "index {} is reserved for the template": "非法操作,索引{}为模板的预留索引",
}
