"""The bodies of requests and answers, a file a resource, of which the OpenAPI document is made.

Rules that need more than a type (check characters, printable text, an HS_SITE) are in the
services, so that they hold whoever calls.
"""
