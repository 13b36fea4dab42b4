"""What must hold of the process that the tests run in."""

import signal

import pytest

# a shell starts what runs in the background so, and the commands that tests interrupt would inherit it
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What asks a real model takes longest, and begins first: the others fill the time beside it."""
    items.sort(key=lambda item: item.get_closest_marker("embedded") is None)
