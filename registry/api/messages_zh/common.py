"""What any request may be refused with, and the rules of JSON bodies."""

from __future__ import annotations

SENTENCES = {
    "holds U+0000": "含有字符 U+0000",
    "give one bearer token: Authorization: Bearer TOKEN": (
        "请提供一个 Bearer 令牌:Authorization: Bearer TOKEN"
    ),
    "the Authorization header is not a bearer token": "Authorization 头不是 Bearer 令牌",
    "the bearer token is unknown, expired or revoked": "令牌不存在、已过期或已吊销",
    "only for {}": "仅限{}操作",
    "the key does not have the scope {}": "该密钥没有权限范围 {}",
    "the body must be application/json": "请求体必须是 application/json",
    "JSON is UTF-8 (RFC 8259)": "JSON 必须使用 UTF-8 编码(RFC 8259)",
    "the body has more than {} bytes": "请求体超过 {} 字节",
    "the body cannot be read: {}": "无法读取请求体:{}",
    "the body is empty": "请求体为空",
    "the body did not come within {} s": "请求体未在 {} 秒内到达",
    "the body is not UTF-8": "请求体不是 UTF-8 编码",
    "the body ended too soon or is broken": "请求体不完整或已损坏",
    "holds U+0000; send such data as base64": "含有 U+0000 字符;此类数据请以 base64 提交",
    "not a number from 1 to {}": "不是 1 到 {} 的数字",
    "not a cursor of this list": "不是该列表的分页游标",
    "{} is not an id": "{} 不是有效的 ID",
    "{} is not one of {}": "不支持方法 {},可用方法:{}",
    "not a time of RFC 3339 with its zone, such as 2026-01-31T08:00:00Z or"
    " 2026-01-31T16:00:00%2B08:00": (
        "不是带时区的 RFC 3339 时间,例如 2026-01-31T08:00:00Z 或 2026-01-31T16:00:00%2B08:00"
    ),
    "not 1 to 255 visible ASCII characters": "必须是 1 到 255 个可见 ASCII 字符",
    "the key was used for another request": "该幂等键已用于另一个请求",
    "empty, or with space at an end": "为空,或首尾有空格",
    "longer than {} characters": "超过 {} 个字符",
    "holds a character that cannot be printed": "含有不可打印的字符",
    "all database connections are busy": "数据库连接均被占用,请稍后重试",
    "the database does not answer": "数据库无响应,请稍后重试",
    "the node failed; its log says more under this requestId": (
        "节点内部错误;请凭 requestId 查询日志"
    ),
    "Not Found": "资源不存在",
    "holds a character that turns the direction of text": "含有改变文字方向的字符",
    "null is no value: leave the parameter out": "null 不是取值:请省略该参数",
    "given twice": "重复给出",
    "there are no parameters here": "此处没有可用的参数",
    "unknown parameter; there are {}": "未知参数,可用参数:{}",
}
