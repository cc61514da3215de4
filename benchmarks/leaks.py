"""What leaves: `python benchmarks/leaks.py --data FOLDER`. Canaries are planted in real texts, and a server searched.

Documents and logs are those of FOLDER, code is Python's library and installed packages; all are cut into chunks as a
drop is, and a case is a question with eight chunks in a row. Each canary (`canaries.py`: keys, cards, social security
numbers, addresses, passwords; plain, over lines, encoded) is planted in a case, which is asked of two nodes outside by
the way of all calls, one with OpenAI's SDK and one with Anthropic's; a server on this machine stands for both. The
bytes that it got are searched for the canary in every form: as it is, without all that is no letter or digit, with
escapes resolved, and decoded from base64 and hexadecimal digits, at any alignment. They must also be those that
`mesh audit` would show. Each call is written to disk several times: set TMPDIR to a folder in memory.
False redactions are the share of words of the same texts without canaries that were replaced. Rules were developed
with `--development`: half of the files, and of the kinds, ways and places of canaries, another seed.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import binascii
import html
import json
import random
import re
import sys
import sysconfig
import tempfile
import threading
import time
import urllib.parse
import uuid
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from zlib import crc32

import pyarrow as pa

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from canaries import Canary, canaries
from taken_in import source_of

from mesh_assets.budgets import Budgets
from mesh_assets.chunks.stage import chunk_batches
from mesh_assets.mesh.calls import Caller, Question
from mesh_assets.mesh.prompts import ANSWER_SCHEMA, request_of
from mesh_assets.mesh.protocol import Limits, Node, Price, Scope
from mesh_assets.mesh.redaction.redact import redact
from mesh_assets.mesh.shapes import Case, Evidence
from mesh_assets.mesh.sqlite_ledger import LEDGER, SqliteLedger
from mesh_assets.resources.call_log import SqliteCallLog
from mesh_assets.resources.nodes import connect_client
from mesh_assets.resources.pace import sqlite_pace
from mesh_assets.schemas.outcome import Outcome

CHUNKS_OF_A_CASE = 8
# Characters of each of the three that are read; the largest files would be nearly all of it otherwise.
TEXT_OF_A_KIND, TEXT_OF_A_FILE = 6_000_000, 300_000
QUESTION = "What goes wrong here, and what should be done about it?"
Chunks = list[str]


def chunks_of(path: Path) -> list[str]:
    """The texts of the chunks of a file, none where it has no text."""
    content = path.read_bytes()
    source = source_of(path.name, content, mtime_ns=1_767_225_600 * 10**9)
    made = chunk_batches([source], slice_key="benchmark.000001", chunk_tokens=256, outcome=Outcome())
    texts = [text for batch in made for text in pa.table({"text": batch["text"]})["text"].to_pylist()]
    size = 0
    kept: list[str] = []
    for text in texts:
        size += len(text)
        if size > TEXT_OF_A_FILE:
            break
        kept.append(text)
    return kept


def cases(paths: Iterable[Path], half: int) -> list[Chunks]:
    """Chunks in a row of files of one half, told by their names."""
    made: list[Chunks] = []
    size = 0
    for path in paths:
        if crc32(path.name.encode()) % 2 != half or size > TEXT_OF_A_KIND:
            continue
        texts = chunks_of(path)
        size += sum(map(len, texts))
        made += [texts[i : i + CHUNKS_OF_A_CASE] for i in range(0, len(texts), CHUNKS_OF_A_CASE)]
    return made


def read(folder: Path, half: int) -> dict[str, list[Chunks]]:
    """The cases of code, logs and documents."""
    code = [Path(sysconfig.get_paths()[name]) for name in ("stdlib", "purelib")]
    programs = sorted({path for root in code for path in root.rglob("*.py")})
    random.Random(7).shuffle(programs)
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    logs = [path for path in files if path.suffix == ".log"]
    documents = [
        path for path in files if path.suffix in (".md", ".html", ".pdf", ".docx", ".pptx", ".txt", ".eml", ".epub")
    ]
    return {"code": cases(programs, half), "logs": cases(logs, half), "documents": cases(documents, half)}


# --- the call --------------------------------------------------------------------------------------------------------

SAID = json.dumps({"answer": "Nothing.", "claims": [], "confidence": 0.5})
FREE = Price(*(Decimal(0),) * 5, source="this machine")


class Recorder(BaseHTTPRequestHandler):
    """Answers every call as both providers do, and keeps what it got."""

    protocol_version = "HTTP/1.1"
    got: list[bytes]

    def do_POST(self) -> None:
        self.got.append(self.rfile.read(int(self.headers["content-length"])))
        said: dict[str, Any] = {"id": uuid.uuid4().hex, "model": "m"}
        if self.path.endswith("/chat/completions"):
            choice = {"index": 0, "message": {"role": "assistant", "content": SAID}, "finish_reason": "stop"}
            said |= {"choices": [choice], "usage": {"prompt_tokens": 9, "completion_tokens": 9, "total_tokens": 18}}
        else:
            said |= {"type": "message", "role": "assistant", "content": [{"type": "text", "text": SAID}]}
            said |= {"stop_reason": "end_turn", "usage": {"input_tokens": 9, "output_tokens": 9}}
        body = json.dumps(said).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Says nothing."""


def serve() -> ThreadingHTTPServer:
    Recorder.got = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), Recorder)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def nodes(port: int) -> list[Node]:
    """One of each SDK, outside this machine as far as the mesh knows."""
    url = f"http://127.0.0.1:{port}"
    return [
        Node(
            provider, provider, "m", "", (), ("deep",), "may-leave", 1_000_000, 500, base_url=base, price=FREE,
            limits=Limits(parallel=64),
        )
        for provider, base in (("openai", f"{url}/v1"), ("anthropic", url))
    ]  # fmt: skip


class Mesh:
    """A caller as the mesh has it, on files of its own, and the clients of both nodes."""

    def __init__(self, folder: Path, port: int) -> None:
        self.log = SqliteCallLog(folder / "calls.sqlite")
        pace, ledger = sqlite_pace(folder / "pace.sqlite"), SqliteLedger(folder / LEDGER, Budgets.parse(""))
        self.caller = Caller(ledger, pace, self.log)
        self.clients = {node: connect_client(node) for node in nodes(port)}

    async def ask(self, texts: Chunks) -> None:
        """Ask both nodes about a case."""
        evidence = tuple(Evidence(f"E{number}", text) for number, text in enumerate(texts, 1))
        case = Case("benchmark", QUESTION, evidence, ANSWER_SCHEMA)
        question = Question(case.id, "deep", request_of(case, max_tokens=500), (Scope("dataset", "benchmark"),))
        for node, client in self.clients.items():
            await self.caller.call(node, client, question)

    def recorded(self) -> list[bytes]:
        """What `mesh audit show` prints, in the order that it left."""
        departures = self.log.departures
        return [departures.content(each.id) or b"" for each in departures.departures()]

    async def close(self) -> None:
        for client in self.clients.values():
            await client.close()


# --- the search ------------------------------------------------------------------------------------------------------

_ALNUM = re.compile(r"[^A-Za-z0-9]+")
_RUN, _HEX_RUN = re.compile(r"[A-Za-z0-9+/]{11,}"), re.compile(r"(?:[0-9a-fA-F]{2}){8,}")


def readings(body: bytes) -> Iterator[str]:
    """All that can be read in what was sent, without what is no letter or digit."""
    text = "\n".join(re.sub(r"</?evidence.*?>", "", said) for said in strings(json.loads(body)))
    for plain in (text, resolved(text)):
        yield _ALNUM.sub("", plain)
        whole = re.sub(r"[\s\"'>#\\*|]+", "", plain)
        for encoded in (plain, whole):
            yield from decoded(encoded, 2)


def strings(value: object) -> Iterator[str]:
    """All texts in a JSON value, names too."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for name, inner in value.items():
            yield from (name, *strings(inner))
    elif isinstance(value, list):
        for inner in value:
            yield from strings(inner)


def resolved(text: str) -> str:
    for _ in range(3):
        text = re.sub(r"\\u([0-9a-fA-F]{4})|\\x([0-9a-fA-F]{2})", lambda m: chr(int(m[1] or m[2], 16)), text)
        text = html.unescape(urllib.parse.unquote(text, errors="replace"))
    return text


def decoded(text: str, depth: int) -> Iterator[str]:
    """What runs of base64 and of hexadecimal digits in `text` say, at any alignment."""
    runs = _RUN.findall(text.replace("-", "+").replace("_", "/"))
    parts = [_b64(run[start:]) for start in range(4) for run in runs if len(run) > start + 7]
    for run in _HEX_RUN.findall(text):
        parts += [binascii.unhexlify(part[: len(part) // 2 * 2]).decode("latin-1") for part in (run, run[1:])]
    if parts:
        said = "\n".join(parts)
        yield _ALNUM.sub("", said)
        if depth > 1:
            yield from decoded(said.replace("\0", ""), depth - 1)


def _b64(run: str) -> str:
    run = run[: len(run) - 1] if len(run) % 4 == 1 else run
    return base64.b64decode(run + "=" * (-len(run) % 4)).decode("latin-1")


def signs_of(canary: Canary) -> str:
    """The letters and digits that must not be read; of a private key a line of its body."""
    value = canary.value.splitlines()[2] if canary.kind == "private key" else canary.value
    return _ALNUM.sub("", value)


# --- the two measures ------------------------------------------------------------------------------------------------


def planted(case: Chunks, canary: Canary, draw: random.Random) -> Chunks:
    """`case` with the canary in a line of its own, or over the border between two chunks."""
    made = list(case)
    at = draw.randrange(len(made))
    first, cut, second = canary.written.partition("\f")
    if cut:
        made[at : at + 1] = [f"{made[at]}\n{first}", f"{second}{made[at]}"]
        return made
    lines = made[at].splitlines(keepends=True)
    place = draw.randrange(len(lines) + 1)
    made[at] = "".join((*lines[:place], first, *lines[place:]))
    return made


async def leaks(
    texts: dict[str, list[Chunks]], made: Sequence[Canary], seed: int, folder: Path
) -> list[tuple[Canary, str]]:
    """The canaries that arrived, each with the kind of text that it was planted in."""
    draw = random.Random(seed)
    server = serve()
    mesh = Mesh(folder, server.server_port)
    found: list[tuple[Canary, str]] = []
    for canary in made:
        kind = draw.choice([name for name, all_ in texts.items() if all_])
        before = len(Recorder.got)
        await mesh.ask(planted(draw.choice(texts[kind]), canary, draw))
        signs = signs_of(canary)
        if any(signs in reading for body in Recorder.got[before:] for reading in readings(body)):
            found.append((canary, kind))
    await mesh.close()
    server.shutdown()
    if mesh.recorded() != Recorder.got:
        raise SystemExit("What `mesh audit` shows is not what the server got.")
    print(f"{len(Recorder.got):,} requests got, {sum(map(len, Recorder.got)):,} bytes, each as it is on record")
    return found


def false_redactions(all_cases: Iterable[Chunks]) -> tuple[int, int, float, Counter[str], list[str]]:
    """Words replaced, all words, CPU-seconds, kinds of what was replaced, and what it was, without canaries."""
    replaced = words = 0
    seconds = 0.0
    kinds: Counter[str] = Counter()
    seen: list[str] = []
    for case in all_cases:
        start = time.process_time()
        made = redact([QUESTION, *case])
        seconds += time.process_time() - start
        for text, redacted in zip(case, made.texts[1:], strict=True):
            spans = [(r.start, r.stop) for r in redacted.replacements]
            kinds.update(r.kind for r in redacted.replacements)
            seen += [f"{r.reason}: {text[r.start : r.stop]!r}" for r in redacted.replacements]
            for word in re.finditer(r"\S+", text):
                words += 1
                replaced += any(first < word.end() and word.start() < last for first, last in spans)
    return replaced, words, seconds, kinds, seen


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--development", action="store_true")
    parser.add_argument("--show", action="store_true", help="what leaked and what was replaced, of development only")
    options = parser.parse_args()
    half = 0 if options.development else 1
    texts = read(options.data, half)
    if not all(texts[kind] for kind in ("logs", "documents")):
        raise SystemExit(f"{options.data} has no logs or no documents.")
    total = [0, 0]
    for name, some in texts.items():
        replaced, words, seconds, kinds, seen = false_redactions(some)
        size = sum(len(text) for case in some for text in case)
        total[0] += replaced
        total[1] += words
        share = f"{replaced / max(words, 1):.3%}"
        print(f"{name:>10}: {size / 1e6:6.2f} MB, {words:>9,} words, replaced {share} {dict(kinds)}")
        print(f"{'':>10}  {size / 1e6 / seconds:.1f} MB per CPU-second")
        if options.show and options.development:
            random.Random(1).shuffle(seen)
            print(*seen[:40], sep="\n")
    made = canaries(20261128 + half, options.rounds, everything=not options.development)
    with tempfile.TemporaryDirectory() as folder:
        found = asyncio.run(leaks(texts, made, half, Path(folder)))
    for title, key in (("kind", "kind"), ("way", "way"), ("place", "place")):
        print(f"leaked by {title}:", dict(Counter(getattr(canary, key) for canary, _ in found)))
    if options.show and options.development:
        print(*(f"{canary} in {kind}" for canary, kind in found[:80]), sep="\n")
    held = sum(canary.held_out for canary in made)
    print(f"{len(made):,} canaries; held out {held:,}, of these leaked {sum(canary.held_out for canary, _ in found)}")
    print(f"leaked={len(found)} false_redactions_pct={100 * total[0] / max(total[1], 1):.2f}")


if __name__ == "__main__":
    main()
