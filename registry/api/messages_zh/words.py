"""Words of ours that stand as parameters in sentences."""

from __future__ import annotations

WORDS = {
    "account": "账户",
    "active": "已启用",
    "administrator": "企业管理员",
    "approve": "批准",
    "approved": "已批准",
    "auditor": "审计员",
    "closed": "已注销",
    "deleted": "已删除",
    "disabled": "已停用",
    "enterprise": "企业",
    "operator": "运营人员",
    "pending": "待审核",
    "reject": "驳回",
    "rejected": "已驳回",
    "resume": "恢复",
    "reviewer": "审核员",
    "revoke": "注销",
    "revoked": "已注销",
    "suspend": "暂停",
    "suspended": "已暂停",
    "the enterprise itself": "企业本身",
}
