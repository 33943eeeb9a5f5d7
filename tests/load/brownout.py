"""A store that gets slow, loses answers, refuses and falls silent: a proxy before it that knows no protocol.

It hands on bytes. An answer is what comes back after something was sent, so requests on one connection have to
wait for each other, as those of HTTP/1.1 do.
"""

import asyncio
import contextlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from random import Random
from typing import Literal

__all__ = ["Brownout", "Mode", "Proxy", "proxied"]

Mode = Literal["clear", "slow", "deaf", "refused", "silent"]


@dataclass
class Brownout:
    """How the store behaves; may be changed at any time, from any thread.

    Attributes
    ----------
    mode : str
        ``slow``: each answer comes `delay` seconds late. ``deaf``: the request is carried out, but the connection
        ends before its answer, in a share `lost` of all. ``refused``: connections end at once. ``silent``: nothing
        is handed on, and nothing ends.
    """

    mode: Mode = "clear"
    delay: float = 0.0
    lost: float = 0.6


class Proxy:
    """Listens on a free port of 127.0.0.1 and hands on to another port there.

    Attributes
    ----------
    port : int
        Where it listens, once it was started.
    """

    def __init__(self, target: int, state: Brownout, random: Random) -> None:
        self.port = 0
        self._target = target
        self._state = state
        self._random = random

    async def start(self) -> asyncio.Server:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        return server

    async def _serve(self, client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        # Also where the end of the proxy cuts off what is waited for in here.
        with contextlib.ExitStack() as ends:
            ends.callback(to_client.transport.abort)
            if self._state.mode == "refused":
                return
            store, to_store = await asyncio.open_connection("127.0.0.1", self._target)
            ends.callback(to_store.transport.abort)
            asked = asyncio.Event()
            pumps = {
                asyncio.create_task(self._requests(client, to_store, asked)),
                asyncio.create_task(self._answers(store, to_client, asked)),
            }
            try:
                await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for pump in pumps:
                    pump.cancel()
                await asyncio.gather(*pumps, return_exceptions=True)

    async def _requests(
        self, client: asyncio.StreamReader, store: asyncio.StreamWriter, asked: asyncio.Event
    ) -> None:
        """Hand on what is asked, until the connection shall end."""
        while data := await client.read(65_536):
            if self._state.mode == "refused":
                return
            if self._state.mode == "silent":
                continue
            asked.set()
            store.write(data)
            await store.drain()

    async def _answers(
        self, store: asyncio.StreamReader, client: asyncio.StreamWriter, asked: asyncio.Event
    ) -> None:
        """Hand on what is answered, until the connection shall end."""
        while data := await store.read(65_536):
            if asked.is_set():
                asked.clear()
                if self._state.mode == "slow":
                    await asyncio.sleep(self._state.delay)
                elif self._state.mode == "deaf" and self._random.random() < self._state.lost:
                    return
            client.write(data)
            await client.drain()


@contextmanager
def proxied(target: int, state: Brownout, random: Random) -> Iterator[int]:
    """A proxy on a thread of its own, until the block ends; the port that it listens on."""
    proxy = Proxy(target, state, random)
    started, ended = threading.Event(), asyncio.Event()
    loop = asyncio.new_event_loop()

    async def run() -> None:
        async with await proxy.start():
            started.set()
            await ended.wait()
            others = asyncio.all_tasks() - {asyncio.current_task()}
            for task in others:
                task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.gather(*others, return_exceptions=True)

    thread = threading.Thread(target=lambda: loop.run_until_complete(run()), name="brown-out", daemon=True)
    thread.start()
    if not started.wait(10):
        raise RuntimeError("the proxy did not start within 10 s")
    try:
        yield proxy.port
    finally:
        loop.call_soon_threadsafe(ended.set)
        thread.join(10)
        loop.close()
