"""Templates, their items, and values that break their rules."""

from __future__ import annotations

SENTENCES = {
    "the {} is there": "该{}已存在",
    "the {} is not there": "该{}不存在",
    "the {} has changed": "该{}已被修改",
    # registry.templates.names
    "a version is a number from 1 to {}": "版本号须为 1 到 {} 的数字",
    "a name has 1 to {} characters": "名称须为 1 到 {} 个字符",
    "a name has no slash": "名称中不能有斜杠",
    "a name has no characters that cannot be seen, and no space at an end": (
        "名称不能含有不可见字符,首尾不能有空格"
    ),
    "the identifier of a version, {}{}/{} under the prefix, has more than {} characters": (
        "版本的标识(前缀下的 {}{}/{})超过 {} 个字符"
    ),
    "suffixes that begin with {} are those of templates, which are made and changed at"
    " /api/v1/templates": "以 {} 开头的后缀属于数据模板,请通过 /api/v1/templates 维护",
    # registry.templates.checks and rules
    "a template has at most {} patterns": "一个模板最多 {} 个正则表达式",
    "a template has at most {} bytes of JSON": "一个模板最多 {} 字节 JSON",
    "index {} is that of {} in an earlier version; take another": (
        "索引 {} 在先前版本中属于 {},请换用其他索引"
    ),
    "needs the {} too": "还需要填写{}",
    "{} is not a code of GB/T 4754-2017": "{} 不是 GB/T 4754-2017 的行业代码",
    "does not begin with the {}": "须以{}的代码开头",
    "types that begin with HS_ are the Handle System's own": "以 HS_ 开头的类型为 Handle 系统保留",
    "more than max_length": "大于 max_length",
    "more than maximum": "大于 maximum",
    "later than maximum": "晚于 maximum",
    "not less than digits": "须小于 digits",
    "the same text stands twice": "同一取值出现了两次",
    "the {} is that of index {} already": "{} 与索引 {} 的属性相同",
    "the {} stands at items[{}] already": "{} 已在 items[{}] 出现",
    'not a regular expression of RE2: "{}"': "不是有效的 RE2 正则表达式(“{}”)",
    "not a decimal number such as 12.50": "不是小数,例如 12.50",
    "not a day such as 2026-01-31": "不是日期,例如 2026-01-31",
    "browsers run what stands behind it": "浏览器会执行此类地址中的内容",
    # registry.templates.service
    "template {} is there already": "模板 {} 已存在",
    "there is no template {} under {}": "前缀 {1} 下没有模板 {0}",
    "there is no such template": "没有这个模板",
    "{} is not the number of a version": "{} 不是版本号",
    "version {} is a draft: publish it or delete it first": "版本 {} 是草稿,请先发布或删除",
    "a template has at most {} versions": "一个模板最多 {} 个版本",
    "version {} is {}, no draft": "版本 {} {},不是草稿",
    "no item is enabled": "没有启用的模板属性",
    "only a published version can be withdrawn, but it is {}": "只有已发布的版本可以停用,当前为{}",
    "prefix {} is delegated: its templates are at its own node": (
        "前缀 {} 由企业自建节点管理,其模板在该节点"
    ),
    # registry.templates.lookup
    "a prefix handle has no template": "前缀标识没有模板",
    "there is no published template {} under {}": "前缀 {1} 下没有已发布的模板 {0}",
    "template {} is withdrawn: nothing new is registered by it": (
        "模板 {} 已停用,不能再用于注册新标识"
    ),
    "its template {} is not there any more": "其模板 {} 已不存在",
    # registry.templates.checker: values of identifiers
    "index {} is not in the template {}": "索引 {} 在模板 {} 中不存在",
    "value {} has type {}, not {}": "索引 {} 的类型为 {},应为 {}",
    "value {} does not name {}": "索引 {} 的值不是模板 {}",
    "{} is not enabled in the template": "{} 在模板中已禁用",
    "{} is not text (format string)": "{} 不是文本(format 须为 string)",
    "{} is required, but empty": "{} 为必填项,不能为空",
    "{} is required, but missing": "{} 为必填项,但未提供",
    "{}: {} is not registered at this node": "{}:{} 未在本节点注册",
    "{} has less than {} characters": "{} 少于 {} 个字符",
    "{} has more than {} characters": "{} 超过 {} 个字符",
    "{} does not match the pattern {}": "{} 不符合格式 {}",
    "{} is not a whole number such as 42 or -7": "{} 不是整数,例如 42 或 -7",
    "{} is more than {}": "{} 大于 {}",
    "{} is less than {}": "{} 小于 {}",
    "{} is not between {} and {}": "{} 不在 {} 到 {} 之间",
    "{} is not a decimal number such as 12.50": "{} 不是小数,例如 12.50",
    "{} has more than {} digits": "{} 超过 {} 位数字",
    "{} has more than {} digits after the point": "{} 的小数超过 {} 位",
    "{} is not a day such as 2026-01-31": "{} 不是日期,例如 2026-01-31",
    "{} is none of {}": "{} 不是以下取值之一:{}",
    "{} is not a URL such as https://example.com/a": "{} 不是网址,例如 https://example.com/a",
    "{} does not begin with {}": "{} 须以 {} 开头",
    "{} is not an identifier of the form prefix/suffix": "{} 不是“前缀/后缀”形式的标识",
    "{} does not stand under the prefix {}": "{} 不在前缀 {} 之下",
}
