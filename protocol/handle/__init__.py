"""The Handle System protocol on the wire, versions 2.1 to 2.11 (RFC 3650 to 3652).

Pure functions and frozen values: bytes in, values out, and back. No sockets, no clock, no
randomness; times, nonces, request ids, initial vectors and private numbers are arguments.

A message is an envelope (20 bytes), a header (24), a body and a credential::

    frame = read_frame(buffer)                        # TCP: the next whole message, or None
    whole = reassembly.add(source, envelope, part, now)   # UDP: the same
    message = decode_payload(envelope, payload)       # ProtocolError carries the code to answer
    answer = reply(message, ResolutionResponse(handle, values), expiration=..., site_serial=1)
    answer.encode()                                   # TCP
    cut(answer.envelope, answer.encode_payload())     # UDP: datagrams of at most 512 bytes

From the bytes up:

- ``wire``       numbers, octets, strings; every length and count has a bound
- ``version``    negotiation, and what changes at which version
- ``envelope``, ``header``   the two fixed parts; op codes and flags
- ``digest``     the request digest
- ``value``      handle values and references
- ``requests``, ``responses``   a class for each form of body
- ``message``    whole messages; ``reply`` heads an answer as the reference server does
- ``fragment``   UDP: cutting, and putting together within bounds

Who speaks, and what they may do:

- ``signing``    signatures and MACs by their names in the protocol
- ``sm2``        verifies signatures of SM2
- ``keys``       HS_PUBKEY; says how HS_SECKEY, HS_SERV and HS_NAMESPACE are encoded
- ``credential`` HS_SIGNED and HS_MAC at the end of a message
- ``challenge``  answers to a challenge, with a private key or a secret
- ``session``    Diffie-Hellman, encryption, replayed counters
- ``admin``      HS_ADMIN with its permissions, HS_VLIST
- ``jws``        HS_CERT and HS_SIGNATURE

Response codes are in ``protocol.errors``, HS_SITE is in ``protocol.typed``. All of it is tested
against ``tests/vectors``: ``handle-net-9.2.json`` is what the reference client and server said to
each other, ``handle-client-9.3.1.json`` what the reference library makes of known keys in every
version, ``id-pointer-sdk-2.3.1.json`` what the SDK of the national nodes makes of SM2. Where the
RFCs and they differ, this code does as they do.
"""
