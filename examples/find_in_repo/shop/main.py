"""Starts the web application."""

from shop.web.routes import build_app

app = build_app()

if __name__ == "__main__":
    app.run(port=8080)
