"""The pages of the shop. Billing pages live in web/account.py."""

from typing import Any


class App:
    def __init__(self) -> None:
        self.routes: dict[str, Any] = {}

    def page(self, path: str, handler: Any) -> None:
        self.routes[path] = handler

    def run(self, port: int) -> None:
        print(f"listening on {port}, {len(self.routes)} pages")


def build_app() -> App:
    app = App()
    app.page("/", lambda request: "Welcome")
    app.page("/search", lambda request: "Results")
    return app
