"""The channel to a server: TLS, retries, reconnection, sizes."""

import json

import grpc
from grpc import aio

from jobsvc.client.reconnect import REPEATED_BY_GRPC
from jobsvc.domain.http_proxy import proxy_options
from jobsvc.domain.methods import METHODS

#: Space for one whole request; gRPC does not retry a call that does not fit (default 256 KiB).
_RETRY_BUFFER_BYTES = 8 * 1024 * 1024


_Options = list[tuple[str, str | int]]

#: A channel with a connection of its own; others of the process share one with the same options.
_OWN_CONNECTION: _Options = [("grpc.use_local_subchannel_pool", 1)]


def open_channel(
    target: str, credentials: grpc.ChannelCredentials | None, own_connection: bool = False
) -> grpc.Channel:
    """Opens a channel for code that blocks; it connects at its first call."""
    options = _channel_options(target) + _OWN_CONNECTION * own_connection
    return (
        grpc.secure_channel(target, credentials, options)
        if credentials
        else grpc.insecure_channel(target, options)
    )


def open_async_channel(
    target: str, credentials: grpc.ChannelCredentials | None, own_connection: bool = False
) -> aio.Channel:
    """Opens the same for asyncio. It belongs to the event loop that it is made in."""
    options = _channel_options(target) + _OWN_CONNECTION * own_connection
    return (
        aio.secure_channel(target, credentials, options)
        if credentials
        else aio.insecure_channel(target, options)
    )


def _channel_options(target: str) -> _Options:
    """Returns the options of a channel to `target`.

    A call that ends with UNAVAILABLE is tried up to five times (gRPC allows no
    more) over about seven seconds: time for a server to restart. So is a call that
    ends with CANCELLED, which comes from a server that stops as the call arrives.
    Calls do not wait for a server that is away (no wait_for_ready), so that the
    last error still says what is wrong; the retries bridge the gap instead.
    """
    config = {
        # Spreads the clients over the replicas behind one name.
        "loadBalancingConfig": [{"pick_first": {"shuffleAddressList": True}}],
        "methodConfig": [
            {
                "name": [
                    {"service": method.service, "method": method.name}
                    for method in METHODS
                    if method.repeatable
                ],
                "retryPolicy": {
                    "maxAttempts": 5,
                    "initialBackoff": "0.7s",
                    "backoffMultiplier": 2.5,
                    "maxBackoff": "2s",
                    "retryableStatusCodes": REPEATED_BY_GRPC,
                },
            }
        ],
    }
    return [
        *proxy_options(target),
        ("grpc.enable_retries", 1),
        ("grpc.service_config", json.dumps(config)),
        ("grpc.service_config_disable_resolution", 1),
        ("grpc.per_rpc_retry_buffer_size", _RETRY_BUFFER_BYTES),
        # The first pause between connection attempts (default 1 s): a retry cannot help before.
        ("grpc.initial_reconnect_backoff_ms", 200),
        # How long a connection attempt may take, despite its name.
        ("grpc.min_reconnect_backoff_ms", 5_000),
        # The longest pause between connection attempts (default 2 min, so that a server which was
        # away for long is noticed that late).
        ("grpc.max_reconnect_backoff_ms", 1_000),
        # A ping follows this silence while a call waits.
        ("grpc.keepalive_time_ms", 10_000),
        # A connection whose ping has no answer for this long is given up.
        ("grpc.keepalive_timeout_ms", 5_000),
        # The same for the pings that gRPC sends by itself (default 1 min): meanwhile it sends no
        # others.
        ("grpc.http2.ping_timeout_ms", 5_000),
        # The server decides how large a payload may be; the client reads any size.
        ("grpc.max_receive_message_length", -1),
    ]
