"""Whole lists of the VPC API, page by page, and several of them at once."""

from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qs, urlsplit

from vnicheck.cloud.client import VpcClient
from vnicheck.cloud.errors import CloudError, malformed
from vnicheck.model.words import one_line
from vnicheck.system.workers import workers

Items = list[dict[str, Any]]

PAGE = 100
"""Items of one page: the most that the API gives."""
PAGES = 1000
"""More pages than any region's list has."""
THREADS = 8


class ShortListError(CloudError):
    """A list that ended before all that it counts was told. `items`: what was."""

    def __init__(self, error: CloudError, items: Items) -> None:
        super().__init__(error.code, error.message)
        self.items = items


def read_list(client: VpcClient, method: str, key: str, *args: str) -> Items:
    """All items under `key` of the SDK's list method `method`, in the API's order. Raises CloudError.

    The fewest that any page counts must be there: what comes or goes while we read is no loss; else ShortListError.
    Only the `start` parameter of `next.href` is used, so the answer cannot send the key to another host.
    """
    items: dict[object, dict[str, Any]] = {}
    seen: set[str] = set()
    start: str | None = None
    counted: list[int] = []
    for _ in range(PAGES):
        page = client.call(method, *args, limit=PAGE, **({} if start is None else {"start": start}))
        listed = page_items(client, method, key, page)
        known = len(items)
        for item in listed:
            # one that moves to a later page while we read is there twice: the later words hold
            items[item["id"] if isinstance(item.get("id"), str) else id(item)] = item
        if isinstance(page.get("total_count"), int):
            counted.append(page["total_count"])
        start = _next_start(client, method, page)
        if start is None:
            found = list(items.values())
            if counted and min(counted) > len(found):
                what = f"the list ends after {len(found)} of {min(counted)}"
                raise ShortListError(malformed(method, client.endpoint, what), found)
            return found
        if listed and len(items) == known:
            raise malformed(method, client.endpoint, "a page repeats what was listed before")
        if start in seen:
            raise malformed(method, client.endpoint, f"page {one_line(start, 40)!r} comes twice")
        seen.add(start)
    raise malformed(method, client.endpoint, f"more than {PAGES} pages")


def page_items(client: VpcClient, method: str, key: str, page: Mapping[str, Any]) -> Items:
    """The objects under `key` of one answer. Raises CloudError `api_malformed`."""
    found = page.get(key)
    if not isinstance(found, list) or not all(isinstance(item, dict) for item in found):
        raise malformed(method, client.endpoint, f"the answer has no list {key!r}")
    return found


def in_parallel(tasks: Mapping[str, Callable[[], Items]]) -> dict[str, Items | CloudError]:
    """The tasks' results by name, in the order of `tasks`; a failed task's is its CloudError."""
    if not tasks:
        return {}
    with workers(min(THREADS, len(tasks)), "vpc") as pool:
        futures = {name: pool.submit(_settled, task) for name, task in tasks.items()}
        return {name: future.result() for name, future in futures.items()}


def _settled(task: Callable[[], Items]) -> Items | CloudError:
    try:
        return task()
    except CloudError as error:
        return error


def _next_start(client: VpcClient, method: str, page: Mapping[str, Any]) -> str | None:
    following = page.get("next")
    if following is None:
        return None
    href = following.get("href") if isinstance(following, dict) else None
    try:
        start = parse_qs(urlsplit(href).query).get("start") if isinstance(href, str) else None
    except ValueError:
        start = None
    if not start:
        raise malformed(method, client.endpoint, "the link to the next page has no start")
    return start[0]
