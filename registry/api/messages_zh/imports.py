"""Mass registration."""

from __future__ import annotations

SENTENCES = {
    "a file has at most {} bytes": "文件最多 {} 字节",
    "the body must be one of {}; or ?format= must say what it is": (
        "请求体须为以下之一:{};或用 ?format= 说明格式"
    ),
    "neither the name of a mapping nor one in JSON": "既不是列映射的名称,也不是 JSON 形式的列映射",
    "the import is {}: only one under way can be cancelled": (
        "导入任务处于{}状态,只有进行中的才能取消"
    ),
    "the import is {}: only one that failed or was cancelled goes on": (
        "导入任务处于{}状态,只有失败或已取消的才能继续"
    ),
    "{} imports are under way: wait for one of them, or cancel it": (
        "已有 {} 个导入任务正在进行:请等待其中一个结束或将其取消"
    ),
    "the files that are kept have more than {} bytes: those of failed and cancelled imports are"
    " kept for 7 days": "保存的文件合计超过 {} 字节:失败和已取消的导入文件保存 7 天",
    "the file is not kept any more: send it again": "文件已不再保存,请重新上传",
    "others register the identifiers of this import at this moment": (
        "此刻有其他请求正在注册本次导入的标识"
    ),
    "no import {}": "导入任务 {} 不存在",
    "prefix {} is not registered for this enterprise": "前缀 {} 不属于该企业",
    "the upload took too long and was given up": "上传时间过长,已放弃",
    "the body did not go on within {} s": "上传中断超过 {} 秒",
    "an import by a template names its prefix": "按模板导入时须指定前缀",
    "rows of ndjson have no columns": "ndjson 没有列,不能使用列映射",
    "a mapping is one to a template: name it": "列映射须对应数据模板,请指定模板",
    "the template {} has no mapping {}": "模板 {} 没有列映射 {}",
    "a template has at most {} mappings": "一个模板最多有 {} 个列映射",
    "there is no such mapping": "没有该列映射",
    "name a column of identifiers or one of suffixes, not both": "标识列与后缀列只能指定一个",
    "the column {} stands for two things": "列 {} 有两种含义",
    "{} is no item of the template {}": "{} 不是模板 {} 的数据项",
    "the item {} is given twice": "数据项 {} 重复指定",
    "the database rolled a batch back": "数据库回滚了一批数据",
}
