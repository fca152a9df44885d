"""Rows of files that are refused, and files that cannot be read."""

from __future__ import annotations

SENTENCES = {
    "the row has {} cells, the header {}": "该行有 {} 个单元格,表头有 {} 个",
    "a ttl is a number of seconds, 0 to {}": "有效期(ttl)为秒数,0 至 {}",
    "not of the form prefix/suffix": "格式不是 前缀/后缀",
    "does not stand under the prefix {} of this import": "不在本次导入的前缀 {} 之下",
    "the values have more than {} bytes of JSON": "标识值的 JSON 超过 {} 字节",
    "{}/{} is registered already": "{}/{} 已注册",
    "the identifier stands in row {} already": "该标识已出现在第 {} 行",
    "the prefix {} is not registered for this enterprise": "前缀 {} 不属于该企业",
    "the prefix {} is {}": "前缀 {} 的状态为{}",
    "the prefix {} is delegated: it lives on another node": "前缀 {} 已委托给其他节点",
    "the line is not UTF-8": "该行不是 UTF-8 编码",
    "not JSON: {}": "不是 JSON:{}",
    "the line is nested too deeply": "该行嵌套过深",
    "a bare suffix needs the import to name a prefix": "只有后缀时,导入须指定前缀",
    "one of identifier and suffix is needed": "identifier 与 suffix 须且只能有一个",
    "the cell names a text that the workbook does not have": "单元格引用了工作簿中不存在的文本",
    "the cell holds U+0000": "单元格含有字符 U+0000",
    "the cell holds half a character": "单元格含有不完整的字符",
    "the cell is a number of more than {} digits, which a spreadsheet does not keep: make it a"
    " text": "单元格是超过 {} 位的数字,电子表格无法完整保存,请改为文本格式",
    "the cell is no date": "单元格不是有效日期",
    "the cell is 29 February 1900, a day that there was not": "单元格是不存在的日期 1900年2月29日",
    "the cell is not a number, though the workbook says so": "单元格标为数字,但内容不是数字",
    "the cell is a formula whose result the workbook does not have: open it in the spreadsheet"
    " program, save it, and send it again": (
        "单元格是公式,但工作簿中没有保存计算结果,请用电子表格软件打开并保存后重新上传"
    ),
    "the cell shows the error {}": "单元格显示错误 {}",
    "cell {} of the header is a formula, an error or a number that cannot be taken": (
        "表头第 {} 个单元格是公式、错误或无法读取的数字"
    ),
    "internal error, see the log": "内部错误,见日志",
    "row {}: the byte 0x{} is not {}": "第 {} 行:字节 0x{} 不是 {} 编码",
    "row {} is longer than {} {}": "第 {} 行超过 {} {}",
    "row {} is longer than {} bytes of XML": "第 {} 行的 XML 超过 {} 字节",
    "row {} is longer than {} characters": "第 {} 行超过 {} 个字符",
    "row {} is not CSV: {}": "第 {} 行不是 CSV:{}",
    "row {} has more than {} columns": "第 {} 行超过 {} 列",
    "the file is UTF-16; save it as UTF-8": "文件是 UTF-16 编码,请另存为 UTF-8",
    "the file is neither UTF-8 nor GBK nor GB18030 text": (
        "文件不是 UTF-8、GBK 或 GB18030 编码的文本"
    ),
    "the file holds a NUL character: it is not a text file": "文件含有 NUL 字符,不是文本文件",
    "the file is empty: it has no header": "文件为空,没有表头",
    "the header has more than {} columns": "表头超过 {} 列",
    "the header needs one column named 'identifier' or one named 'suffix'": (
        "表头须有且只有一个标识列(identifier、标识)或后缀列(suffix、后缀)"
    ),
    "the column {} needs the import to name a prefix": "有列 {} 时,导入须指定前缀",
    "the column {} of the mapping is not in the header": "列映射中的列 {} 不在表头中",
    "column {} has no name in the header": "表头第 {} 列没有名称",
    "the column {} stands twice in the header": "表头中列 {} 重复",
    "the column {} has index {}, as {} has already": "列 {} 的索引 {} 与列 {} 相同",
    "the column {} is not TYPE or index:TYPE: {}": "列 {} 不是 类型 或 索引:类型:{}",
    "the column {} is neither TYPE nor index:TYPE": "列 {} 不是 类型 或 索引:类型",
    "the column {} is no item of the template {}": "列 {} 不是模板 {} 的数据项",
    "the stored file has {} bytes instead of {}": "保存的文件为 {} 字节,应为 {} 字节",
    "the file is not an XLSX workbook; save it as .xlsx, or as CSV": (
        "文件不是 XLSX 工作簿,请另存为 .xlsx 或 CSV"
    ),
    "the workbook has no sheet {}": "工作簿中没有工作表 {}",
    "the workbook has no sheet": "工作簿中没有工作表",
    "the workbook has too many parts that belong together": "工作簿的关联部件过多",
    "the workbook has more than {} sheets": "工作簿超过 {} 个工作表",
    "the workbook has too many formats of numbers": "工作簿的数字格式过多",
    "the workbook has too many styles": "工作簿的样式过多",
    "the workbook has over {} different texts; save it as CSV": (
        "工作簿中不同的文本超过 {} 个,请另存为 CSV"
    ),
    "the workbook has more than {} parts, or one of them twice": (
        "工作簿的部件超过 {} 个,或有重名部件"
    ),
    "the workbook expands to more than {} bytes": "工作簿解压后超过 {} 字节",
    "the workbook lacks its part {}": "工作簿缺少部件 {}",
    "the part {} of the workbook has over {} bytes": "工作簿的部件 {} 超过 {} 字节",
    "the part {} of the workbook is damaged": "工作簿的部件 {} 已损坏",
    "the part {} of the workbook is nested too deeply": "工作簿的部件 {} 嵌套过深",
    "the part {} of the workbook has a document type": "工作簿的部件 {} 含有文档类型声明",
    "the part {} of the workbook has a tag that is too long": "工作簿的部件 {} 有过长的标签",
    'the part {} of the workbook is not XML: "{}"': "工作簿的部件 {} 不是 XML(“{}”)",
    "the workbook is encrypted: save it without a password": "工作簿已加密,请取消密码后保存",
    "the workbook is compressed in a way that spreadsheets do not use": (
        "工作簿使用了电子表格不用的压缩方式"
    ),
    "a part of the workbook expands to over {} times its size": (
        "工作簿有部件解压后超过原大小的 {} 倍"
    ),
    "the table of contents of the workbook is too long": "工作簿的目录过长",
    "a workbook has at most {} bytes": "工作簿最多 {} 字节",
    "a text is longer than {} characters": "有文本超过 {} 个字符",
    "the rows of the sheet are not in order after row {}": "工作表第 {} 行之后行序错乱",
    "a sheet has at most {} rows": "工作表最多 {} 行",
    "the cells of row {} are not in order": "第 {} 行的单元格顺序错乱",
    "the sheet has a cell {}": "工作表中有位置错误的单元格 {}",
}
