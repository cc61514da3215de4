"""Labels by description: the owner's words decide, `other` is an answer, and corrections count once they are better."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mesh_assets.embeddings.fake_encoder import FakeEncoder
from mesh_assets.errors import SettingsError
from mesh_assets.insights.chunk_stage import insight_batches
from mesh_assets.insights.corrections import Correction, tried
from mesh_assets.insights.label_shares import Labeller
from mesh_assets.insights.labels import (
    LabelSet,
    fingerprint,
    fitted,
    probabilities,
    read_labels,
    similarities,
)
from mesh_assets.insights.slice_stage import slice_insight_batches
from mesh_assets.schemas.outcome import AttachedRows, Outcome
from mesh_assets.settings import SHIPPED_LABELS
from mesh_assets.storage.label_corrections import add_correction, corrections_of, forget_corrections
from mesh_assets_tests.insights.chunk_rows import batches, rows

ENCODER = FakeEncoder(256)
SAILING = LabelSet(
    "hobby",
    {"sailing": ("boats sails wind harbour",), "cooking": ("recipe oven flour sugar", "wine cheese supper")},
    model="fake-256",
    scale=30.0,
    other=0.2,
    is_calibrated=True,
)
TEXTS = {
    "a.txt": "the boats left the harbour with wind in their sails",
    "b.txt": "supper with wine and cheese",
    "c.txt": "quarterly taxes of the province were discussed",
}


def labelled(labeller: Labeller, *, embedded: bool = True) -> tuple[dict[str, dict], list[dict]]:
    """The row of `CHUNK_LABELS` by path, and the insights of type `labels`."""
    made = [row for path, text in TEXTS.items() for row in rows(path, text)]
    aligned = []
    for batch in batches(made):
        texts = batch.column("text").to_pylist()
        vectors = ENCODER.encode(texts) if embedded else np.zeros((len(texts), 0), np.float32)
        aligned.append((batch, next(iter(insight_batches([batch], Outcome()))), vectors))
    attached = AttachedRows()
    said = slice_insight_batches(
        aligned,
        [],
        dataset="d",
        slice_key="d.000001",
        outcome=Outcome(),
        labeller=labeller,
        attached=attached,
    )
    insights = [row for batch in said for row in batch.to_pylist() if row["type"] == "labels"]
    paths = {row["chunk_id"]: row["path"] for row in made}
    found = [row for batch in attached.take("chunk_labels") for row in batch.to_pylist()]
    return {str(paths[row["chunk_id"]]): row for row in found}, insights


def test_each_chunk_gets_the_label_whose_description_it_is_like_or_other() -> None:
    found, insights = labelled(Labeller([SAILING], ENCODER.encode, ENCODER.model))
    assert {path: row["label"] for path, row in found.items()} == {
        "a.txt": "sailing",
        "b.txt": "cooking",
        "c.txt": "other",
    }
    assert all(0 < row["probability"] <= 1 and row["calibrated"] for row in found.values())
    (insight,) = insights
    assert "33% sailing" in insight["statement"] and "33% fit none of its 2 labels" in insight["statement"]
    assert {citation["path"] for citation in insight["evidence"]} == {"a.txt", "b.txt"}


def test_without_vectors_nothing_is_labelled_and_no_model_is_asked() -> None:
    def fails(texts: object) -> np.ndarray:
        raise AssertionError(texts)

    assert labelled(Labeller([SAILING], fails, "off"), embedded=False) == ({}, [])


def test_another_model_or_other_labels_are_called_uncalibrated(tmp_path: Path) -> None:
    found, insights = labelled(Labeller([SAILING], ENCODER.encode, "another@1"))
    assert not any(row["calibrated"] for row in found.values())
    assert "uncalibrated" in insights[0]["statement"]
    own = tmp_path / "labels.yaml"
    own.write_text("sets: {topic: {labels: {sailing: 'Boats and sails.', sports: null}}}")
    shipped, changed = read_labels(SHIPPED_LABELS, tmp_path / "none"), read_labels(SHIPPED_LABELS, own)
    assert all(labels.is_calibrated for labels in shipped)
    assert [labels.is_calibrated for labels in changed] == [False, True]
    assert "sailing" in changed[0].names and "sports" not in changed[0].names and "law" in changed[0].names
    assert fingerprint(shipped) != fingerprint(changed)


def test_a_set_can_be_taken_away(tmp_path: Path) -> None:
    own = tmp_path / "labels.yaml"
    own.write_text("sets: {topic: null}")
    assert [labels.name for labels in read_labels(SHIPPED_LABELS, own)] == ["content"]


@pytest.mark.parametrize(
    "content",
    [
        "sets: [1]",
        "labels: {}",
        "sets: {topic: {labels: {a: []}}}",
        "sets: {t: {labels: {other: 'x y z'}}}",
        "\x00",
        "{",
    ],
)
def test_a_file_that_is_none_is_named_with_a_remedy(tmp_path: Path, content: str) -> None:
    own = tmp_path / "labels.yaml"
    own.write_text(content)
    with pytest.raises(SettingsError, match=r"labels\.yaml"):
        read_labels(SHIPPED_LABELS, own)


@settings(max_examples=25)
@given(st.lists(st.lists(st.floats(-1, 1), min_size=3, max_size=3), min_size=1, max_size=8), st.floats(1, 100))
def test_probabilities_add_up_and_follow_likeness(cosines: list[list[float]], scale: float) -> None:
    given_ = np.array(cosines, np.float32)
    made = probabilities(given_, scale=scale, other=0.2)
    assert np.allclose(made.sum(axis=1), 1)
    best = made[:, :-1].max(axis=1)
    assert np.array_equal(made[:, -1] > best + 1e-12, given_.max(axis=1) < np.float64(0.2) - 1e-12 / scale) or np.any(
        np.abs(given_.max(axis=1) - 0.2) < 1e-6
    )


def test_fitting_lowers_certainty_where_the_nearest_description_is_often_wrong() -> None:
    cosines = np.tile(np.array([[0.5, 0.3]], np.float32), (10, 1))
    sure, _ = fitted(cosines, np.zeros(10, np.int64))
    unsure, _ = fitted(cosines, np.array([0] * 6 + [1] * 4))
    assert unsure < sure


def corrected(words: list[tuple[str, str]]) -> list[Correction]:
    vectors = ENCODER.encode([text for text, _ in words])
    return [Correction("hobby", label, vector) for (_, label), vector in zip(words, vectors, strict=True)]


def test_corrections_count_once_there_are_enough_and_cross_validation_says_they_are_better() -> None:
    # The owner calls what is about taxes cooking, which no description says.
    words = [(f"taxes of the province, paragraph {number}", "cooking") for number in range(12)]
    words += [(f"boats in the harbour, day {number}", "sailing") for number in range(12)]
    few = Labeller([SAILING], ENCODER.encode, ENCODER.model, corrected(words[:6]))
    assert labelled(few)[0]["c.txt"]["label"] == "other"
    enough = Labeller([SAILING], ENCODER.encode, ENCODER.model, corrected(words))
    found, insights = labelled(enough)
    assert found["c.txt"]["label"] == "cooking"
    assert found["c.txt"]["basis"] == "corrections" and not found["c.txt"]["calibrated"]
    assert '"used": true' in insights[0]["value"]


def test_corrections_that_only_say_what_the_descriptions_say_change_nothing() -> None:
    words = [(f"recipe oven flour sugar {number}", "cooking") for number in range(12)]
    words += [(f"boats sails wind harbour {number}", "sailing") for number in range(12)]
    made = corrected(words)
    cosines = similarities(SAILING, np.stack([each.vector for each in made]), ENCODER.encode)
    trial = tried(SAILING.names, made, probabilities(cosines, scale=30.0, other=0.2))
    assert trial.corrections == 24 and trial.described == 1.0 and trial.classifier is None


def test_the_last_word_on_a_chunk_counts_and_forgetting_a_dataset_takes_its_words_away(tmp_path: Path) -> None:
    vector = ENCODER.encode(["boats"])[0]
    for dataset, chunk, label in (("d", "1", "sailing"), ("d", "1", "cooking"), ("e", "2", "sailing")):
        add_correction(
            tmp_path, chunk_id=chunk, dataset=dataset, model="m", correction=Correction("hobby", label, vector)
        )
    assert [each.label for each in corrections_of(tmp_path, "m")] == ["cooking", "sailing"]
    assert corrections_of(tmp_path, "another") == []
    forget_corrections(tmp_path, "d")
    assert [each.label for each in corrections_of(tmp_path, "m")] == ["sailing"]
    (tmp_path / "labels" / "corrections.jsonl").write_text("{}\n")
    with pytest.raises(SettingsError, match="Line 1"):
        corrections_of(tmp_path, "m")
