"""Exports."""

from __future__ import annotations

SENTENCES = {
    "the node makes as many exports as it does at once": "本节点同时进行的导出已达上限",
    "the values have more than {} indexes and types: take ndjson": (
        "值的索引与类型超过 {} 种:请用 ndjson 格式"
    ),
}
