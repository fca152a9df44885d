"""Our own client of the Handle System: asks any server, over UDP, TCP or HTTP.

What is asked and whether an answer answers it is decided by pure functions; the transports only
carry bytes::

    asking = Asking(identifier, types=("URL",), request_id=..., now=...)
    answer = await resolve(asking, Endpoint("udp", "127.0.0.1", 2641), watch=steps.append)

- ``exchange``   requests, the check of answers, what an answer says
- ``udp``        three tries of 0.5, 1 and 1.5 s, each from a socket of its own; fragments
- ``tcp``, ``http``   one connection a question; HTTP speaks Handle JSON
- ``site``       where an HS_SITE record says to ask
- ``resolving``  asks, and follows referrals
- ``steps``      what happened on the way, for whoever watches
"""
