"""Debian's python3-websockets as a second implementation of RFC 6455, with STOMP by hand. Prints as node_readme.js."""

import asyncio
import json
import sys

import websockets


async def main(url):
    async with websockets.connect(url.replace("http", "ws") + "/ws", subprotocols=["v11.stomp"]) as socket:
        assert socket.subprotocol == "v11.stomp", socket.subprotocol
        await socket.send("CONNECT\naccept-version:1.1\nhost:h\nheart-beat:0,0\n\n\0")
        assert (await socket.recv()).startswith("CONNECTED\nversion:1.1\n")
        await socket.send("SUBSCRIBE\nid:py\ndestination:/topic/rooms/gaming_stream_123\n\n\0")
        async for message in socket:
            body = message.partition("\n\n")[2].rstrip("\0")
            print("TIP" if "amount" in json.loads(body) else "REACTION", body, flush=True)


asyncio.run(main(sys.argv[1]))
