"""Values of the predefined types are checked before they are registered.

A site that no client can read, or an HS_ADMIN that names nobody, is a mistake that shows only
where somebody does not get in: so it is refused, whichever way it comes. What was registered
before, or comes from other nodes, is read with patience as ever (protocol/typed.py).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from protocol import typed
from protocol.errors import InvalidValue
from protocol.handle.admin import ADMIN, VALUE_LIST, decode_admin, decode_value_list
from protocol.handle.jws import decode_jws
from protocol.handle.keys import PUBLIC_KEY, decode_public_key
from protocol.handle.namespace import check_namespace
from protocol.handle.service import decode_service
from protocol.values import HandleValue

CHECKS: Mapping[str, Callable[[bytes], object]] = {
    ADMIN: decode_admin,
    VALUE_LIST: decode_value_list,
    PUBLIC_KEY: decode_public_key,
    **dict.fromkeys((*typed.SITE_TYPES, *typed.PREFIX_SITE_TYPES), typed.site_to_json),
    **dict.fromkeys((typed.SERVICE, typed.PREFIX_SERVICE), decode_service),
    "HS_NAMESPACE": check_namespace,
    "HS_CERT": decode_jws,
    "HS_SIGNATURE": decode_jws,
}
"""What reads the data of a type, and raises InvalidValue where they are none of it.

HS_SECKEY is any bytes.
"""


def check_typed(values: Iterable[HandleValue]) -> None:
    """Check data by their type. Raises InvalidValue with the field and the rule."""
    for position, value in enumerate(values):
        check = CHECKS.get(value.type.upper())
        if check is None:
            continue
        try:
            check(value.data)
        except InvalidValue as error:
            raise InvalidValue(
                f"no data of {value.type}: {error.detail}", field=f"values[{position}].data"
            ) from None
