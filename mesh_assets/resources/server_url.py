"""The address of a server of an index as its setting names it, and the credentials in it, which no message shows."""

from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

from mesh_assets.errors import SettingsError


@dataclass(frozen=True, slots=True)
class ServerUrl:
    """`address` is the URL without credentials; `user` and `password` are empty where it has none."""

    address: str
    user: str = field(default="", repr=False)
    password: str = field(default="", repr=False)

    @classmethod
    def parse(cls, setting: str, url: str) -> "ServerUrl":
        """The value of `setting`, as `http://user:password@127.0.0.1:9200`. SettingsError where it names no server."""
        try:
            parts = urlsplit(url)
            named = bool(parts.scheme and parts.hostname) and parts.port != 0
        except ValueError:
            parts, named = urlsplit(""), False
        if not named:
            # What is wrong may be the password: it is not repeated.
            raise SettingsError(
                f"{setting} names no server.", remedy="Set it with scheme and port, as `http://127.0.0.1:PORT`."
            )
        address = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
        return cls(address, unquote(parts.username or ""), unquote(parts.password or ""))
