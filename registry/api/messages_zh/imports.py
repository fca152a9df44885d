"""Mass registration."""

from __future__ import annotations

SENTENCES = {
    "a file has at most {} bytes": "文件最多 {} 字节",
    "the body must be {}, or ?format= must say what it is": "请求体须为 {},或用 ?format= 说明格式",
    "not csv or ndjson": "不是 csv 或 ndjson",
    "no import {}": "导入任务 {} 不存在",
    "prefix {} is not registered for this enterprise": "前缀 {} 不属于该企业",
    "the upload took too long and was given up": "上传时间过长,已放弃",
    "the body did not go on within {} s": "上传中断超过 {} 秒",
    "an import by a template names its prefix": "按模板导入时须指定前缀",
    "the database rolled a batch back": "数据库回滚了一批数据",
}
