"""Enterprises and prefixes."""

from __future__ import annotations

SENTENCES = {
    "a unified social credit code has 18 characters: 2, then 6 digits, then 10, of digits and"
    " capital letters without I, O, S, V, Z": (
        "统一社会信用代码共 18 位:2 位、6 位数字、10 位,均为数字或大写字母(不含 I、O、S、V、Z)"
    ),
    "the check character (GB 32100-2015) does not fit": "校验码错误(GB 32100-2015)",
    "an enterprise has this credit code already": "该统一社会信用代码已登记",
    "not a telephone number such as +86 592 5550100": "不是电话号码,例如 +86 592 5550100",
    "not an e-mail address": "不是电子邮件地址",
    "no enterprise {}": "企业 {} 不存在",
    "no message {} waits": "没有待上报的消息 {}",
    "the enterprise is closed": "该企业已注销",
    "the enterprise is {}": "该企业{}",
    "prefix {} is not registered here": "前缀 {} 未在本节点注册",
    "prefix {} is not served here": "前缀 {} 不由本节点提供服务",
    "prefix {} is given out already": "前缀 {} 已被分配",
    "prefix {} is given out already, and nothing but zeros tells them apart": (
        "前缀 {} 已被分配,二者仅前导零不同"
    ),
    "a delegated prefix needs the site, or the service, that serves it": (
        "自建节点的前缀必须给出其站点或服务标识"
    ),
    "a hosted prefix is served by this node": "托管前缀由本节点提供服务",
    "a site and a service: one of both": "站点与服务标识只能给出其一",
    "the service itself stands under {}": "服务标识本身位于 {} 之下",
    # protocol.typed_check
    "no data of {}: {}": "不是 {} 的数据:{}",
    "the root element is {}": "根元素须为 {}",
    "more than {} elements stand in each other": "元素嵌套超过 {} 层",
    "a document type, and entities with it, is not taken": "不接受文档类型声明及实体",
    "the XML is in UTF-8": "XML 须为 UTF-8 编码",
    "line {} of the XML: {}": "XML 第 {} 行:{}",
    "the name of a service has the form prefix/suffix": "服务标识须为“前缀/后缀”的形式",
    "the name of a service is in UTF-8": "服务标识须为 UTF-8 编码",
    "not the name of a service: {}": "不是服务标识:{}",
    "a hosted prefix has no site of its own": "托管前缀没有自己的站点",
    "not of the form {}.number": "必须是 {}.数字 的形式",
    "no prefix {}": "前缀 {} 不存在",
    "to {} it must be {}, but it is {}": "{}前状态须为{},当前为{}",
    "to {} a prefix needs a reason": "{}前缀须说明原因",
    "{} is no administrator of {}": "{} 不是 {} 的管理员",
    "{} may not do this to {}": "{} 无权对 {} 执行此操作",
    "{} does not run this node": "{} 不是本节点的管理员",
    "the key of {} cannot be read": "无法读取 {} 的密钥",
    "there is no identity {}": "身份 {} 不存在",
    "not a code of GB/T 4754-2017 such as C3441": "不是 GB/T 4754-2017 行业代码,例如 C3441",
    "not a code of GB/T 2260 such as 350200": "不是 GB/T 2260 行政区划代码,例如 350200",
    "no code {}": "代码 {} 不存在",
    "not {} to {} characters": "须为 {} 到 {} 个字符",
    "to {} an enterprise needs a reason": "{}企业须说明原因",
    "the enterprise is {}: what it has filed cannot be changed now": (
        "企业状态为{},现在不能更改备案信息"
    ),
    "of an approved enterprise it changes the contact alone: turn to the operator": (
        "企业获批后只能自行更改联系人,其他信息请联系运营人员"
    ),
    "while the enterprise is not approved, its people may read what it has and correct its filing"
    " alone": "企业未获批准期间,其人员只能查看自有数据和更正备案信息",
    "this node takes no filings by itself: turn to its operator to be registered": (
        "本节点不开放自助备案,请联系运营人员登记"
    ),
    "too many enterprises were filed lately; come again later": "近期备案次数过多,请稍后再试",
    'the name of a file has none of / \\ : * ? " < > | in it, no two dots in a row, and no dot'
    " at an end": '文件名不能含有 / \\ : * ? " < > |,不能有连续的点,首尾不能是点',
    "the name of such a file ends with {}": "此类文件的文件名须以 {} 结尾",
    "an attachment has at most {} bytes": "附件最大 {} 字节",
    "the file does not begin like {}": "文件内容不是 {} 格式",
    "the file does not end as it should: it is cut short": "文件不完整:结尾缺失",
    "there are {} attachments already: delete some first": "已有 {} 个附件,请先删除一部分",
    "no attachment {}": "附件 {} 不存在",
    "name the file: ?name=licence.pdf": "请给出文件名:?name=licence.pdf",
    "a site has one server at least": "站点至少要有一个服务器",
    "a server has one interface at least that takes queries (query: true)": (
        "每个服务器至少要有一个接受查询的接口(query: true)"
    ),
    "the body must be one of {}": "请求体须为以下之一:{}",
    "the node takes as many attachments as it does at once": "节点正在处理的附件已达上限",
    "there is no number left that is free and not reserved": "没有可用的前缀号码",
    "the number {} is reserved: turn to the operator": "号码 {} 已被保留,请联系运营人员",
    "the enterprise has its quota of {} prefixes": "企业已达到 {} 个前缀的配额",
    "not 0 to {} prefixes": "前缀个数须为 0 到 {}",
    "not 0 to {}": "须为 0 到 {}",
    "not {} to {}": "须为 {} 到 {}",
    "some of these numbers are reserved already": "其中部分号码已被保留",
    "there are {} reservations already: delete some first": "已有 {} 个保留段,请先删除一部分",
    "no reservation begins with {}": "没有从 {} 开始的保留段",
    "not the beginning of a prefix, such as 88.118.3": "不是前缀的开头,例如 88.118.3",
    "nothing is known here of a site of prefix {}: name it": "本节点不知道前缀 {} 的站点,请给出",
    "the site of prefix {} was not checked": "前缀 {} 的站点尚未探测",
    "to go on by force needs a reason": "强制通过须说明原因",
    "its site has not answered for the prefix lately: check it, or go on by force with a reason": (
        "其站点近期未通过探测:请先探测,或说明原因后强制通过"
    ),
    "this process asks no sites": "本进程不探测站点",
    "the node checks as many sites as it does at once": "节点同时探测的站点已达上限",
    "prefix {} is {}": "前缀 {} {}",
    "the enterprise has this prefix already": "该企业已持有此前缀",
    "prefix {} is offered already: withdraw that first": "前缀 {} 的转移已发起,请先撤回",
    "prefix {} is not with who offered it any more": "前缀 {} 已不属于发起转移的企业",
    "nobody offers prefix {}": "前缀 {} 没有待接受的转移",
    "too many filings wait for a decision; come again later": "待审核的备案过多,请稍后再试",
}
