"""Operations of /api/v1/enterprises/{id}/attachments."""

from __future__ import annotations

from registry.api.bodies import attachments as bodies
from registry.api.operations.common import POST, UUID
from registry.api.operations.model import Answers, Operation, Parameter

_AT = "/api/v1/enterprises/{id}/attachments"
_PDF, *_PICTURES = "application/pdf", "image/png", "image/jpeg"
_READERS = "operator, reviewer, auditor, the enterprise itself"

PARAMETERS = {
    "attachment_id": Parameter("path", "Id of the attachment", UUID),
    "file_name": Parameter(
        "query",
        "What the file is called, such as licence.pdf",
        {"type": "string", "maxLength": 100},
        name="name",
        required=True,
    ),
}

OPERATIONS = (
    Operation(
        "POST",
        _AT,
        "addAttachment",
        "Attach a file to an enterprise, such as the scan of its licence",
        "上传企业附件（如营业执照扫描件）",
        "operator, the administrator itself",
        {201: Answers("Attached", bodies.Attachment, headers=("Location",))},
        request_media=(_PDF, *_PICTURES),
        parameters=("file_name", *POST),
        refused=(404, 409),
        notes="5 MiB at most, 10 files at most. The body is the file.",
        group="enterprises",
    ),
    Operation(
        "GET",
        _AT,
        "listAttachments",
        "List the attachments of an enterprise",
        "企业附件列表",
        _READERS,
        {200: Answers("All of them", bodies.AttachmentList)},
        refused=(404,),
        group="enterprises",
    ),
    Operation(
        "GET",
        f"{_AT}/{{attachment_id}}",
        "getAttachment",
        "Read an attachment",
        "下载企业附件",
        _READERS,
        {200: Answers("The file", str, media_type=_PDF, others=tuple(_PICTURES))},
        refused=(404,),
        group="enterprises",
    ),
    Operation(
        "DELETE",
        f"{_AT}/{{attachment_id}}",
        "deleteAttachment",
        "Delete an attachment",
        "删除企业附件",
        "operator, the administrator itself",
        {204: Answers("Deleted")},
        refused=(404, 409),
        notes="The enterprise itself: while it is filed or rejected.",
        group="enterprises",
    ),
)
