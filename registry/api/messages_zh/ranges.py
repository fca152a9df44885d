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
    "a type is one for all members of a range: nothing in it is replaced": (
        "号段内所有标识的类型相同,类型中不能有占位符"
    ),
    "{} has another text for each member, and its rule ({}) must be checked for each: such a range"
    " has at most {} members": "{} 对每个标识取值不同,须逐一校验(规则 {}),此类号段最多 {} 个标识",
    "name the prefix: ?prefix=88.118.35": "请指明前缀:?prefix=88.118.35",
    "not true or false": "不是 true 或 false",
}
