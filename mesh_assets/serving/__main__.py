"""`python -m mesh_assets.serving`: the search page until it is ended. `mesh up` starts it."""

from __future__ import annotations

from mesh_assets.settings import load_settings


def main() -> None:
    """Serve on the loopback address and the port of the settings."""
    import uvicorn

    from mesh_assets.serving.app import build_app

    settings = load_settings()
    uvicorn.run(build_app(settings), host="127.0.0.1", port=settings.search_port, log_level="warning")


if __name__ == "__main__":
    main()
