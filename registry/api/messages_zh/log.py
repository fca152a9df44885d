"""The tree of the audit log."""

from __future__ import annotations

SENTENCES = {
    "no tree head has been signed yet: wait some seconds": "尚未签署树头:请稍候几秒",
    "the newest tree head has {} entries": "最新树头共有 {} 条记录",
    "the last entry of the tree is number {}": "树中最后一条记录的序号是 {}",
    "more than second": "大于 second",
    "less than start": "小于 start",
}
