"""Identifiers, their values and their history."""

from __future__ import annotations

SENTENCES = {
    "a suffix that ends in /{} is written with %2F{} here": ("以 /{} 结尾的后缀在此须写作 %2F{}"),
    "the identifier is there": "该标识已存在",
    "the identifier is not there": "该标识不存在",
    "the identifier has changed": "该标识已被修改",
    "nothing to add, replace or remove": "没有要增加、替换或删除的值",
    "{} is not registered": "{} 未注册",
    "{} was never registered": "{} 从未注册",
    "{} was deleted at {}": "{} 已于 {} 删除",
    "{} was registered first at {}": "{} 于 {} 首次注册",
    "is still to come": "是将来的时间",
    "an identifier has at most {} values": "一个标识最多 {} 个值",
    "the values of an identifier have at most {} bytes of JSON": (
        "一个标识的值合计不超过 {} 字节 JSON"
    ),
    "prefix {} is delegated: register at its own node": "前缀 {} 由企业自建节点管理,请在该节点注册",
    "prefix {} is {}, not active": "前缀 {} {},未启用",
    'not * and not entity tags such as "17"': '不是 *,也不是 "17" 这样的实体标签',
    "the index stands in values too": "该索引同时出现在 values 中",
    "there is no value {}": "没有索引为 {} 的值",
    "index {} of a prefix handle is the node's: it says there which site serves the prefix": (
        "前缀标识的索引 {} 归节点使用:节点在此标明该前缀由哪个站点提供服务"
    ),
    # protocol.identifier
    "a '%' is not followed by two hexadecimal digits": "% 之后不是两位十六进制数字",
    "a registered identifier has at most {} characters": "注册的标识最多 {} 个字符",
    "a prefix is 2 to 8 decimal numbers of at most 9 digits, separated by dots": (
        "前缀由 2 到 8 段不超过 9 位的十进制数组成,以点分隔"
    ),
    "the prefix is empty": "前缀为空",
    "the prefix is not a list of names separated by dots": "前缀不是以点分隔的名称",
    "the suffix is empty": "后缀为空",
    "character U+{} is not allowed in an identifier": "标识中不允许字符 U+{}",
    "an identifier has no space at the end of a part": "标识各部分的末尾不能有空格",
    "an identifier has at most {} bytes": "标识最多 {} 字节",
    "the identifier is not UTF-8": "标识不是 UTF-8 编码",
    # protocol.json_api, protocol.typed and protocol.values
    "a value is a JSON object": "每个值须为 JSON 对象",
    "not a list of values": "不是值的列表",
    "not a whole number": "不是整数",
    "not a JSON object": "不是 JSON 对象",
    "text holds no characters that turn or isolate its direction (U+202A to U+202E,"
    " U+2066 to U+2069): others would read it in another order than it has": (
        "文本不能含有改变或隔离书写方向的字符(U+202A 至 U+202E、U+2066 至 U+2069)"
        ",否则他人看到的顺序与实际不符"
    ),
    "data has at most {} bytes": "数据最多 {} 字节",
    "not a string": "不是字符串",
    "not an object with format and value": "不是含 format 和 value 的对象",
    "not seconds, nor a time such as 2026-01-01T00:00:00Z": (
        "既不是秒数,也不是 2026-01-01T00:00:00Z 这样的时间"
    ),
    "not four characters 0 or 1, such as 1110": "不是四位 0 或 1,例如 1110",
    "not a list": "不是列表",
    "holds half of a surrogate pair": "含有不完整的代理对字符",
    "not an object of handle and index": "不是含 handle 和 index 的对象",
    "not a time such as 2026-01-01T00:00:00Z": "不是 2026-01-01T00:00:00Z 这样的时间",
    "not {}": "不是 {}",
    "a string holds a NUL": "字符串含有 NUL 字符",
    "not 12 characters 0 or 1": "不是 12 位 0 或 1",
    "not a list of at most {} references": "不是至多 {} 项的引用列表",
    "an interface is not of a known kind": "接口类型未知",
    "not of the form 2.11": "不是 2.11 这样的形式",
    "a public key has the format base64": "公钥的 format 须为 base64",
    "not one of string, base64, hex, admin, key, vlist, site": (
        "不是 string、base64、hex、admin、key、vlist、site 之一"
    ),
    "not a number from 0 to {}": "不是 0 到 {} 的数字",
    "more than {} entries": "超过 {} 项",
    # protocol.handle.wire and keys, of the data of a value
    "the data ends too soon": "数据不完整",
    "a string is not UTF-8": "字符串不是 UTF-8 编码",
    "a list is longer than the data": "列表超出数据长度",
    "bytes follow the end of the data": "数据结尾之后还有字节",
    "bytes follow the key": "密钥之后还有字节",
    "the kind of key is not known": "密钥类型未知",
    "the exponent is too large": "指数过大",
    "the numbers make no key": "这些数字不构成密钥",
    "not an IP address": "不是 IP 地址",
    "not base64": "不是 base64 编码",
    "an index is 1 to {}": "索引须在 1 到 {} 之间",
    "an index is 0 to {}": "索引须在 0 到 {} 之间",
    "a type has 1 to {} bytes": "类型须为 1 到 {} 字节",
    "a type has printable characters and no spaces": "类型须为可打印字符且不含空格",
    "a ttl is 0 to {}": "ttl 须在 0 到 {} 之间",
    "permissions are four bits": "权限为四位",
    "index {} stands at values[{}] already": "索引 {} 已在 values[{}] 出现",
    # batches
    "a batch has 1 to {} operations": "一批须有 1 到 {} 个操作",
    "a batch has at most {} bytes": "一批最多 {} 字节",
    "a batch names at most {} templates": "一批最多引用 {} 个模板",
    "a batch writes under at most {} prefixes": "一批最多涉及 {} 个前缀",
    "the identifier stands in operations[{}] already": "该标识已出现在 operations[{}] 中",
    "not of the form prefix/suffix": "不是“前缀/后缀”的形式",
    "as many registrations wait as the node lets wait": "等待处理的注册请求已达上限",
    "the node works on as many batches as it does at once": "本节点同时处理的批量请求已达上限",
    "the body must be application/json or application/x-ndjson": (
        "请求体须为 application/json 或 application/x-ndjson"
    ),
}
