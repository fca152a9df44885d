"""Labels."""

from __future__ import annotations

SENTENCES = {
    "the node makes as many labels as it does at once": "标签生成任务已满,请稍后重试",
    "give identifiers or range, one of them": "请在 identifiers 和 range 中给出一个",
    "only a png has pixels": "只有 PNG 才有像素",
    "the node does not know its public address: set IDNODE_PUBLIC_URL": (
        "节点不知道自己的公网地址:请设置 IDNODE_PUBLIC_URL"
    ),
    "on a sheet modules are as large as fits": "整版打印时模块尺寸由版面决定",
    "pictures stand on no sheet": "图片不排版",
    "a module of {} mm is less than {} pixels at {} dpi": (
        "{0} 毫米的模块在 {2} dpi 下不足 {1} 像素"
    ),
    "the picture would have {} pixels a side, more than {}": "图片边长将为 {} 像素,超过 {}",
    "the pictures would have {} pixels together, more than {}: ask for fewer of them, or for"
    " smaller ones": "所有图片合计 {} 像素,超过 {}:请减少图片数量或缩小图片",
    "the symbols have more than {} modules together: ask for fewer": (
        "所有码合计超过 {} 个模块:请减少数量"
    ),
    "does not end in a number of up to 18 digits": "末尾不是至多 18 位的数字",
    "is not {} and a number": "不是 {} 加数字",
    "its number has not {} digits as that of first": "数字位数与 first 的 {} 位不同",
    "comes before first": "在 first 之前",
    "more than {} labels": "超过 {} 个标签",
    "the labels are too small for the text {}": "标签太小,放不下文字 {}",
    "a sheet has {} labels": "一版有 {} 个标签",
    "the labels are too small for the {} modules of {}: each would be {} mm wide,"
    " less than {} mm": ("标签太小,放不下 {1} 的 {0} 个模块:每个仅 {2} 毫米,小于 {3} 毫米"),
    "leaves {} mm for a label, less than {} mm": "每个标签仅剩 {} 毫米,小于 {} 毫米",
    "the quiet zone of this symbol has at least {} modules": "该码制的静区至少 {} 个模块",
    "Data Matrix has one level of error correction": "Data Matrix 只有一种纠错等级",
    "this symbol cannot hold an address of {} characters": "该码制容纳不下 {} 个字符的地址",
    "the font of the labels, {}, cannot be embedded": "标签字体 {} 无法嵌入",
}
