"""Ranges of numbers."""

from __future__ import annotations

SENTENCES = {
    "a member of a range ends in a number": "号段中的标识须以数字结尾",
    "differs from first before its number": "数字之前的部分与 first 不同",
    "its number has not as many digits as that of first: write leading zeros": (
        "数字位数与 first 不同:请写前导零"
    ),
    "its number is less than that of first": "数字小于 first 的数字",
    "a prefix has at most {} ranges": "一个前缀最多有 {} 个号段",
    "overlaps the range {}": "与号段 {} 重叠",
    "no range {} under {}": "前缀 {1} 下没有号段 {0}",
    "the range is there": "该号段已存在",
    "the range is not there": "该号段不存在",
    "the range has changed": "该号段已被修改",
    "name the prefix: ?prefix=88.118.35": "请指明前缀:?prefix=88.118.35",
    "not true or false": "不是 true 或 false",
}
