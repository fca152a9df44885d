"""What the stub of the top-level node says to nodes and to its operator."""

from __future__ import annotations

SENTENCES = {
    "this prefix has not been filed": "该前缀尚未备案",
    "the body can not be read: {}": "无法读取请求体:{}",
    "not under {}": "不在 {} 之下",
    "a node is enrolled over HTTPS alone": "节点登记只能通过 HTTPS 进行",
    "the token is unknown, used, expired or for another node": (
        "令牌不存在、已使用、已过期,或属于其他节点"
    ),
    "a node shows its present certificate, over HTTPS": "节点须通过 HTTPS 出示当前证书",
    "{} has {} certificates that have not expired": "{} 已有 {} 张未到期的证书",
    "there is no such fault of the Handle protocol": "Handle 协议没有此类故障",
    "a node shows its certificate, over HTTPS": "节点须通过 HTTPS 出示证书",
    "the bearer token is missing or not the one set": "缺少令牌,或令牌与设置的不符",
    "the certificate is that of {}": "该证书属于 {}",
    "the certificate was not issued here": "该证书不是本顶级节点签发的",
    "the certificate was revoked": "证书已被吊销",
    "the certificate has expired": "证书已过期",
    "longer than {} bytes": "超过 {} 字节",
    "not a certificate request in PEM": "不是 PEM 格式的证书请求",
    "the key is not on the curve P-256": "密钥不在 P-256 曲线上",
    "not signed with the key that it is for": "证书请求的签名与其密钥不符",
    "one of {}": "须为以下之一:{}",
    "another message came with this message_id": "此 message_id 已用于另一条消息",
    "not the node that files": "不是上报的节点",
    "a site has a server": "站点至少须有一台服务器",
    "operators of the stub work on its own machine": "顶级节点桩的运维操作只能在本机进行",
    "the bearer token is not that of the stub's operator": "令牌不是顶级节点桩运维人员的令牌",
    "not the prefix that is filed": "不是所备案的前缀",
    "the prefix is not under {}": "该前缀不在 {} 之下",
    "a delegated prefix has a site or a service, a hosted one none": (
        "自建企业节点的前缀须有站点或服务,托管的前缀不得有"
    ),
    "another node has filed this prefix": "该前缀已由另一个节点备案",
    "the first of a series follows none": "一个序列的第一步之前没有其他步骤",
    "not the time that is reported": "与所上报的时间不符",
    "a prefix is there twice": "同一前缀出现了两次",
    "less than its prefixes together": "小于各前缀之和",
    "not the template that is reported": "与所上报的模板不符",
}
