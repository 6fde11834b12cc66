"""Runs inside one namespace: answers flows, and opens those that it is given. Standard library only.

Standard input: one line of JSON, then a line that says go, then its end.

    {"serve": [[address, port]], "open": [{"protocol", "local", "remote", "port"}], "timeouts": [seconds]}

Standard output: `ready`, then one line of JSON with a truth value for each opened flow.
"""

import asyncio
import errno
import itertools
import json
import socket
import struct
import sys
from typing import Any

ECHO_REQUEST, ECHO_REPLY = 8, 0  # linux/icmp.h
# What the network says; any other error is a fault of ours and ends it.
VERDICTS = {
    errno.EACCES,  # prohibit
    errno.EINVAL,  # blackhole
    errno.ENETUNREACH,
    errno.EHOSTUNREACH,
    errno.ENETDOWN,
    errno.EADDRNOTAVAIL,
    errno.ECONNREFUSED,
    errno.ECONNRESET,
    errno.ETIMEDOUT,
}
echo_numbers = itertools.count(1)


class UdpEcho(asyncio.DatagramProtocol):
    """Sends every datagram back."""

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, peer: Any) -> None:
        self.transport.sendto(data, peer)


async def answer_tcp(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        writer.write(await reader.read(64))
        await writer.drain()
        await reader.read(1)
    except OSError:
        pass
    finally:
        writer.close()


async def serve(address: str, port: int) -> list[Any]:
    """Servers bound to this address; where it is not configured here there is nothing to bind to."""
    loop = asyncio.get_running_loop()
    try:
        tcp = await asyncio.start_server(answer_tcp, address, port)
        udp, _ = await loop.create_datagram_endpoint(UdpEcho, local_addr=(address, port))
    except OSError as error:
        if error.errno != errno.EADDRNOTAVAIL:
            raise
        return []
    return [tcp, udp]


def checksum(data: bytes) -> int:
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    total = (total & 0xFFFF) + (total >> 16)
    return ~(total + (total >> 16)) & 0xFFFF


async def open_icmp(loop: asyncio.AbstractEventLoop, sock: socket.socket) -> bool:
    number = next(echo_numbers)
    identity = struct.pack("!HH", number & 0xFFFF, number >> 16)
    body = b"vnicheck"
    sum_ = checksum(struct.pack("!BBH", ECHO_REQUEST, 0, 0) + identity + body)
    await loop.sock_sendall(sock, struct.pack("!BBH", ECHO_REQUEST, 0, sum_) + identity + body)
    while True:
        packet = await loop.sock_recv(sock, 2048)
        message = packet[(packet[0] & 15) * 4 :]
        if message[:1] == bytes([ECHO_REPLY]) and message[4:8] == identity:
            return True


async def open_transport(loop: asyncio.AbstractEventLoop, sock: socket.socket) -> bool:
    await loop.sock_sendall(sock, b"?")
    return await loop.sock_recv(sock, 1) == b"?"


async def attempt(flow: dict[str, Any]) -> bool:
    loop = asyncio.get_running_loop()
    kinds = {
        "icmp": (socket.SOCK_RAW, socket.IPPROTO_ICMP),
        "tcp": (socket.SOCK_STREAM, 0),
        "udp": (socket.SOCK_DGRAM, 0),
    }
    with socket.socket(socket.AF_INET, *kinds[flow["protocol"]]) as sock:
        sock.setblocking(False)
        sock.bind((flow["local"], 0))
        if flow["protocol"] == "icmp":
            sock.connect((flow["remote"], 0))
            return await open_icmp(loop, sock)
        await loop.sock_connect(sock, (flow["remote"], flow["port"]))
        return await open_transport(loop, sock)


async def delivered(flow: dict[str, Any], timeouts: list[float]) -> bool:
    for timeout in timeouts:
        try:
            if await asyncio.wait_for(attempt(flow), timeout):
                return True
        except TimeoutError:
            continue
        except OSError as error:
            if error.errno not in VERDICTS:
                raise
    return False


async def main() -> None:
    loop = asyncio.get_running_loop()
    job = json.loads(await loop.run_in_executor(None, sys.stdin.readline))
    servers = [server for address, port in job["serve"] for server in await serve(address, port)]
    print("ready", flush=True)
    await loop.run_in_executor(None, sys.stdin.readline)
    print(json.dumps(await asyncio.gather(*(delivered(flow, job["timeouts"]) for flow in job["open"]))), flush=True)
    await loop.run_in_executor(None, sys.stdin.read)
    for server in servers:
        server.close()


asyncio.run(main())
