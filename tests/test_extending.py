"""docs/extending.md as a package installed into a folder, used by commands and programs of their own processes."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from textwrap import dedent

import numpy as np
import pytest
import soundfile

from helpers.documentation import ROOT, fenced
from helpers.installed_package import install, run_forked

PAGE = ROOT / "docs" / "extending.md"
ENTRY_POINTS = {"my-sounds": "my_sounds"}


def modules() -> dict[str, str]:
    """Path -> source, of every Python block of the page."""
    blocks = [example.text for example in fenced(PAGE, "python")]
    return {re.match(r"# (\S+)\n", text)[1]: text for text in blocks}  # type: ignore[index]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the package, installed and not, and sounds."""
    place = tmp_path_factory.mktemp("extending")
    installed = install(place / "installed", {}, ENTRY_POINTS, "my-sounds")
    for path, source in modules().items():
        for root in (installed, place / "plain"):
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_text(source, encoding="utf-8")
    seconds = np.arange(16000) / 16000
    for label, low in (("a", 200), ("b", 900)):
        for number in range(6):
            wave = 0.4 * np.sin(2 * np.pi * (low + 90 * number) * seconds)
            for path in (place / "sounds" / label / f"{number}.wav", place / "flat" / f"{label}-{number}.wav"):
                path.parent.mkdir(parents=True, exist_ok=True)
                soundfile.write(path, wave, 16000)
    return place


def python(place: Path, script: str, *, code: str = "installed", **environment: str) -> list[str]:
    """The lines that a program prints, in a process of its own that sees the package, installed or as plain files."""
    helper = """
        import json, sys
        import soundloom
        from soundloom.cli import main

        def command(*words):
            try:
                main([*words], standalone_mode=False)
            except Exception as error:
                print(getattr(error, "message", error))
    """
    home = {"SOUNDLOOM_HOME": str(place / "cache"), **environment}
    done = run_forked(dedent(helper) + dedent(script), place / code, cwd=place, **home)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.splitlines()


@pytest.fixture(scope="module")
def saved(place: Path) -> Path:
    """The package's model, saved."""
    python(place, 'soundloom.save_pretrained(soundloom.load("mine"), "own")')
    return place / "own"


def test_every_command_understands_the_name(place: Path) -> None:
    script = """
        command("models", "--json")
        command("corpora", "--json")
        print("---")
        command("index", "sounds", "-l", "mine.loom", "-m", "mine#2#4+mfcc")
        command("search", "sounds/a/0.wav", "-l", "mine.loom", "--json")
        print("---")
        command("evaluate", "mine", "mine#2#4", "--on", "sounds", "--on", "recordings=flat", "--protocol", "centroid")
        print("---")
        command("layers", "mine", "--on", "sounds", "--protocol", "centroid")
    """
    listed, found, evaluated, layers = "\n".join(python(place, script)).split("---")
    assert all(f'"{name}"' in listed for name in ("mine", "stack", "loom", "recordings", "esc50"))
    assert "mine#2#4" in found
    assert evaluated.count("accuracy") >= 1
    assert "mine#2#4" in evaluated
    assert "centroid" in layers


def test_a_model_of_ones_own_is_served_by_either_name(place: Path) -> None:
    script = """
        from starlette.testclient import TestClient
        from soundloom.server import ServerSettings, create_app

        def served(folder):
            application = create_app(soundloom.Library.open(folder), ServerSettings())
            with TestClient(application, base_url="http://127.0.0.1:8765", client=("127.0.0.1", 50000)) as client:
                upload = client.post("/api/v1/uploads", files={"file": ("a.wav", open("sounds/a/0.wav", "rb").read())})
                asked = {"upload": upload.json()["upload"], "k": 2, "weights": "mine#2#4:2"}
                found = client.get("/api/v1/search", params=asked).json()
                print(json.dumps([[hit["path"][-7:], sorted(hit["parts"])] for hit in found["hits"]]))

        command("index", "sounds/a", "-l", "entry.loom", "-m", "mine#2#4+mfcc")
        served("entry.loom")
        command("index", "sounds/a", "-l", "object.loom", "-m", "my_sounds.encoder:mine#2#4")
        served("object.loom")
    """
    installed, named = (line for line in python(place, script, SOUNDLOOM_TRUST="my_sounds") if line.startswith("[["))
    assert json.loads(installed)[0] == ["a/0.wav", ["mfcc", "mine#2#4"]]
    assert json.loads(named)[0] == ["a/0.wav", ["mine#2#4"]]


def test_saved_loaded_pushed_and_used_through_hear(place: Path, saved: Path) -> None:
    python(
        place,
        modules()["use.py"]
        + """
from my_sounds.encoder import Stack
from safetensors.torch import save_file
state = Stack().state_dict()
save_file(state, "stack.safetensors")
save_file({"other": state["blocks.0.bias"]}, "wrong.safetensors")
""",
    )
    shutil.copytree(place / "saved", place / "hub", dirs_exist_ok=True)
    script = """
        import numpy, torch, soundloom.hear
        model, again = soundloom.load("mine#2#4+mfcc"), soundloom.load("./hub")
        sound = numpy.random.default_rng(0).uniform(-0.5, 0.5, 16000).astype("float32")
        assert model.embed(sound).tobytes() == again.embed(sound).tobytes()
        hear = soundloom.hear.load_model("hub")
        print(list(soundloom.hear.get_scene_embeddings(torch.zeros(1, 16000), hear).shape))
        layers = soundloom.load("./own#2#4")
        assert numpy.array_equal(layers.embed(sound), soundloom.load("mine#2#4").embed(sound))
        model = soundloom.load("stack#2#4", weights="stack.safetensors")
        print(model.name, model.dim)
        try:
            soundloom.load("stack", weights="wrong.safetensors")
        except soundloom.SoundloomError as error:
            print(str(error).splitlines()[0])
    """
    shape, stack, refused = python(place, script)
    assert (shape, stack) == ("[1, 152]", "stack#2#4 32")
    assert "these are not the weights of stack-v1" in refused


@pytest.mark.slow
@pytest.mark.long
def test_trains_and_is_trained(place: Path) -> None:
    script = """
        few = ("--steps", "2", "--batch", "4", "--validation", "0")
        own = ("--stream", "my_sounds.encoder:untrained")
        command("train", "triplet", "sounds", "-o", "tuned", "--init", "mine", "--proximity", "0", *few)
        command("train", "agreement", "sounds", "-o", "agreed", *own, "--noise", "0.2", *few)
        command("train", "my_sounds.objective:Agreement", "sounds", "-o", "apart", *own, *few)
        command("index", "sounds", "-l", "tuned.loom", "-m", "./tuned+./agreed")

        import torch
        mine = soundloom.load("mine")
        for name in ("tuned", "agreed", "apart"):
            trained = soundloom.load(f"./{name}")
            pairs = list(zip(mine.encoder.parameters(), trained.encoder.parameters(), strict=True))
            print(name, trained.dim, torch.equal(*pairs[0]))

        from starlette.testclient import TestClient
        from soundloom.server import ServerSettings, create_app
        application = create_app(soundloom.Library.open("tuned.loom"), ServerSettings())
        with TestClient(application, base_url="http://127.0.0.1:8765", client=("127.0.0.1", 50000)) as client:
            sound = open("sounds/a/0.wav", "rb").read()
            upload = client.post("/api/v1/uploads", files={"file": ("query.wav", sound)}).json()["upload"]
            print(client.get("/api/v1/search", params={"upload": upload, "k": 3}).status_code)
    """
    *_, tuned, agreed, apart, served = python(place, script)
    assert [tuned, agreed, apart] == [f"{name} 16 False" for name in ("tuned", "agreed", "apart")]
    assert served == "200"


@pytest.mark.slow
@pytest.mark.long
def test_an_encoder_of_ones_own_is_exported(place: Path) -> None:
    pytest.importorskip("onnxruntime")
    script = """
        command("export", "mine", "-o", "mine.onnx")
        command("export", "my_sounds.encoder:mine#2#4", "-o", "fused.onnx", "--seconds", "1", "--json")
        import numpy, onnxruntime, torch
        sound = numpy.random.default_rng(0).uniform(-0.5, 0.5, (1, 16000)).astype("float32")
        for name, path in (("mine", "mine.onnx"), ("mine#2#4", "fused.onnx")):
            (got,) = onnxruntime.InferenceSession(path).run(["embeddings"], {"waveforms": sound})
            with torch.no_grad():
                expected = soundloom.load(name)(torch.from_numpy(sound)).numpy()
            print(bool(abs(got - expected).max() <= 1e-4 * abs(expected).max()))
    """
    assert python(place, script)[-2:] == ["True", "True"]


def test_what_cannot_be_exported_is_refused_and_a_folder_of_ones_own_is_pushed(place: Path, saved: Path) -> None:
    script = """
        import shutil, huggingface_hub
        from my_sounds.frontend import BandPower
        BandPower.export_obstacle = "which rounds"
        command("export", "my_sounds.encoder:mine+mfcc", "-o", "mine.onnx")

        class Hub:
            def __init__(self, token): pass
            def create_repo(self, *names, **options): return "its page"
            def upload_folder(self, *, folder_path, **options): shutil.copytree(folder_path, "pushed")

        huggingface_hub.HfApi = Hub
        print(soundloom.push_to_hub("own", "someone/mine"))
    """
    refused, page = python(place, script, code="plain", SOUNDLOOM_OFFLINE="", HF_HUB_OFFLINE="")
    if "needs onnx" not in refused:
        assert "its part 'mine' contains a BandPower, which rounds" in refused
    assert page == "its page"
    assert (place / "pushed" / "config.json").read_bytes() == (saved / "config.json").read_bytes()


def test_a_saved_model_names_code_that_is_imported_with_consent_only(place: Path, saved: Path) -> None:
    config = json.loads((saved / "config.json").read_text())
    assert config["parts"][0]["encoder"]["type"] == "Stack"
    assert config["parts"][0]["encoder"]["code"] == "my_sounds.encoder:Stack"
    script = """
        try:
            soundloom.load("./own")
        except soundloom.SoundloomError as error:
            print(error)
        print("my_sounds" in sys.modules)
        print(soundloom.load("./own", trust=True).dim)
    """
    refused, imported, dim = python(place, script, code="plain")
    assert "names the code 'my_sounds.frontend:BandPower'" in refused
    assert "--trust my_sounds" in refused
    assert (imported, dim) == ("False", "16")


def test_a_name_typed_is_consent_and_one_in_a_library_is_not(place: Path) -> None:
    python(place, 'command("index", "sounds", "-l", "plain.loom", "-m", "my_sounds.encoder:mine#2#4")', code="plain")
    script = """
        command("search", "sounds/a/0.wav", "-l", "plain.loom")
        print("my_sounds" in sys.modules)
        command("--trust", "my_sounds", "search", "sounds/a/0.wav", "-l", "plain.loom")
    """
    refused, imported, *found = python(place, script, code="plain")
    assert "the library" in refused
    assert "names the code 'my_sounds.encoder:mine'" in refused
    assert imported == "False"
    assert "0.wav" in "".join(found)


def test_a_package_that_cannot_be_imported_costs_itself(place: Path) -> None:
    install(place / "broken", {"broken_sounds": "import nothing_of_the_kind\n"}, {"broken": "broken_sounds"})
    script = """
        from contextlib import redirect_stderr
        from io import StringIO
        with redirect_stderr(StringIO()) as notes:
            command("models", "--json")
        print(*notes.getvalue().splitlines())
    """
    *listed, note = python(place, script, code="broken")
    assert any('"loom"' in line for line in listed)
    assert note.startswith("note: ")
    assert "'broken'" in note
    assert "nothing_of_the_kind" in note
