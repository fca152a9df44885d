"""Relations between identifiers."""

from __future__ import annotations

SENTENCES = {
    "a prefix handle has no relations": "前缀标识(0.NA)不能建立关系",
    "an identifier in a relation has at most {} characters": "关系中的标识最多 {} 个字符",
    "an identifier has no relation to itself": "标识不能与自身建立关系",
    "closes a circle: {}": "会形成循环:{}",
    "too much hangs together to see that there is no circle: more than {} identifiers, or {}"
    " levels": "关联的标识过多,无法确认没有循环:超过 {} 个标识或 {} 级",
    "says the same as number {} of the list": "与列表中第 {} 项(从 0 起)重复",
    "so deep there are more than {} relations, or very long names; ask for fewer levels, for"
    " agreed ones alone, or for the list of relations": (
        "到该深度有超过 {} 条关系,或标识过长;请减少级数、只查询认可的关系(agreed),或查询关系列表"
    ),
    "there is no statement {} {} {}": "没有这条声明:{} {} {}",
    "there is no such relation": "没有这条关系",
    "nothing to put or to remove": "没有要声明或撤销的关系",
    "at most {} relations at once": "一次最多 {} 条关系",
    "a suffix that holds /relations/{}/ is written with %2Frelations here": (
        "含有 /relations/{}/ 的后缀在此须写作 %2Frelations"
    ),
}
