"""How well kinds are told: `python benchmarks/kinds.py --data FOLDER ...`, folders of any depth.

Every file is detected as intake does it, once with its path and once without a name (`file`), so that only its content
counts. The truth is what the file is called: an ending that people give to one kind only. A CSV is a metric where it
lies in a collection called `metrics`, or holds dates and numbers only (`BY_HAND`, looked at). Prints a confusion table
for each way.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from mesh_assets.intake.kinds import SAMPLE_BYTES, detect

KINDS = ("text", "code", "image", "audio", "video", "structured", "log", "metric", "unknown")
BY_ENDING = {
    **dict.fromkeys("md rst html htm pdf docx dotx docm pptx ppsx epub eml msg doc ppt odt rtf txt".split(), "text"),
    **dict.fromkeys("jpg jpeg png gif tif tiff webp bmp heic avif".split(), "image"),
    **dict.fromkeys("wav mp3 flac ogg opus m4a aac".split(), "audio"),
    **dict.fromkeys("mp4 avi mkv webm mov".split(), "video"),
    **dict.fromkeys("csv tsv json jsonl arrow feather parquet xlsx xlsm xls ods sqlite db xml".split(), "structured"),
    **dict.fromkeys("py js ts java go rs c h cpp cs rb php sh".split(), "code"),
    "log": "log",
}

BY_HAND = {"sp500-2000.csv": "metric"}


def truth(path: Path, root: Path) -> str | None:
    """The kind of a file by its ending and the collection it is in; None where nobody can say."""
    if path.name in BY_HAND:
        return BY_HAND[path.name]
    kind = BY_ENDING.get(path.suffix[1:].lower())
    within = (*root.resolve().parts[-2:], *path.relative_to(root).parts[:-1])
    if kind == "structured" and path.suffix == ".csv" and "metrics" in within:
        return "metric"
    return kind


def main() -> None:
    """Detect every file and count."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, nargs="+", required=True)
    folders: list[Path] = parser.parse_args().data
    counts: dict[str, Counter[tuple[str, str]]] = {"with names": Counter(), "by content alone": Counter()}
    wrong: list[str] = []
    for root in folders:
        for path in sorted(path for path in root.rglob("*") if path.is_file()):
            expected = truth(path, root)
            if expected is None:
                continue
            with path.open("rb") as file:
                sample = file.read(SAMPLE_BYTES)
            whole = path.stat().st_size <= SAMPLE_BYTES
            for way, name in (("with names", str(path.relative_to(root))), ("by content alone", "file")):
                found = detect(sample, name, whole=whole)
                counts[way][expected, found.kind] += 1
                if found.kind != expected:
                    wrong.append(f"{way}: {path.relative_to(root)} is {expected}, found {found.kind} ({found.format})")
    for way, table in counts.items():
        print(f"\n{way}: rows are what files are, columns what was found")
        print("".join(f"{name:>12}" for name in ("", *KINDS)))
        for kind in KINDS:
            row = [table[kind, found] for found in KINDS]
            if any(row):
                print(f"{kind:>12}" + "".join(f"{n or '.':>12}" for n in row))
    print("", *wrong, sep="\n")
    shares = {way: sum(n for (a, b), n in t.items() if a == b) / max(t.total(), 1) for way, t in counts.items()}
    print(f"files={counts['with names'].total()} kind_accuracy={shares['with names']:.3f}", end=" ")
    print(f"content_accuracy={shares['by content alone']:.3f}")


if __name__ == "__main__":
    main()
