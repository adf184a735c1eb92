"""Model cards: the README.md of a saved model, for readers and for the Hugging Face hub.

The front matter is what the Hugging Face hub reads; the body says how to use the model, what it is made of, and
where it comes from. Facts of the model are filled in; the caller gives the rest.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path

from soundloom.embedder import Embedder
from soundloom.models.model_config import ModelConfig, StreamConfig

__all__ = ["Card", "stated_licence"]

_FRONT_MATTER = 10_000
"""Characters of a card in which its front matter is looked for."""


@dataclass(frozen=True, kw_only=True)
class Card:
    """What a model does not know about itself.

    Attributes:
        licence: of the weights, as the hub spells it, such as ``mit`` or ``cc-by-4.0``.
        tags: to be found by, besides ``audio``.
        summary: what the model is and for what.
        provenance: what it was trained on and by whom, and what its licence asks.
        repository: where it will be published, as ``owner/name``; else the usage names a folder.
    """

    licence: str = "unknown"
    tags: tuple[str, ...] = ()
    summary: str = ""
    provenance: str = ""
    repository: str | None = None

    def text(self, model: Embedder, config: ModelConfig) -> str:
        """The card of a model."""
        source = "path/to/this/folder" if self.repository is None else f"hf:{self.repository}"
        front_matter = {
            "license": self.licence,
            "library_name": "soundloom",
            "pipeline_tag": "feature-extraction",
            "tags": list(dict.fromkeys(["audio", *self.tags])),
        }
        # JSON is YAML too, and needs no judgement about what to quote.
        lines = [f"{key}: {json.dumps(value, ensure_ascii=False)}" for key, value in front_matter.items()]
        parts = zip(config.parts, model.parts.values(), strict=True)
        rows = "\n".join(_row(part, columns) for part, columns in parts)
        return f"""---
{chr(10).join(lines)}
---

# {config.name}

{self.summary or "An audio embedding: sounds in, vectors out."}

## Usage

```python
import soundloom

model = soundloom.load("{source}")
vector = model.embed("sound.wav")                 # {config.dim} numbers
frames, seconds = model.embed_frames("sound.wav")  # {model.frame_dim} numbers a frame
```

    soundloom index SOUNDS --model {source}

## Parts

Mono sound at {config.sample_rate:,} Hz, resampled where files differ; {config.dim:,} numbers a sound.

| part | columns | front-end | encoder | layers | pooling over time |
|---|---|---|---|---|---|
{rows}

All settings are in `config.json`.

## Provenance

{self.provenance or "Not stated."}

Saved by soundloom {config.soundloom}.
"""


def _row(part: StreamConfig, columns: slice) -> str:
    frontend = part.frontend.type if part.frontend.inner is None else f"{part.frontend.type} {part.frontend.inner.type}"
    layers = "customary" if part.layers is None else ", ".join(map(str, part.layers))
    cells = (part.name, f"{columns.start}-{columns.stop - 1}", frontend, part.encoder.type, layers, part.pooling)
    return f"| {' | '.join(cells)} |"


def stated_licence(folder: Path) -> str | None:
    """The licence that the card of a folder states in its front matter; None where there is none."""
    try:
        text = (folder / "README.md").read_text(encoding="utf-8", errors="replace")[:_FRONT_MATTER]
    except OSError:
        return None
    found = re.match(r"---\n.*?^license:[ \t]*[\"']?([^\"'\n]+?)[\"']?[ \t]*\n.*?^---$", text, re.DOTALL | re.MULTILINE)
    return found[1] if found and found[1] != Card.licence else None
