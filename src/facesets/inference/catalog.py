"""Model packs that can be fetched, and the hashes that they must have."""

from dataclasses import dataclass

LICENCE = (
    "InsightFace's pretrained models are for non-commercial research purposes only "
    "(see https://github.com/deepinsight/insightface#license)."
)

_RELEASE = "https://github.com/deepinsight/insightface/releases/download/v0.7"


@dataclass(frozen=True, slots=True)
class PublishedPack:
    """A pack on its publisher's server.

    Attributes
    ----------
    name, url : str
    size : int or None
        Bytes of the archive, where known.
    sha256 : str or None
        Of the archive, where known.
    files : dict of str to str
        sha256 of the ONNX files inside, where known.
    """

    name: str
    url: str
    size: int | None
    sha256: str | None
    files: dict[str, str]


@dataclass(frozen=True, slots=True)
class PublishedClip:
    """A CLIP pack on its publisher's server, file by file.

    Attributes
    ----------
    name : str
    url : str
        Of the folder that the files lie in. It names one revision, so that all who fetch it embed alike.
    licence : str
        A sentence to show before fetching.
    sha256 : dict of str to str or None
        The files by their path in the pack, with their hashes where known.
    """

    name: str
    url: str
    licence: str
    sha256: dict[str, str | None]


DEFAULT_CLIP = "ViT-B-32__openai"

_CLIP_FILES = (
    "config.json",
    "visual/preprocess_cfg.json",
    "visual/model.onnx",
    "textual/tokenizer.json",
    "textual/tokenizer_config.json",
    "textual/model.onnx",
)

PUBLISHED_CLIP = {
    pack.name: pack
    for pack in (
        PublishedClip(
            DEFAULT_CLIP,
            "https://huggingface.co/immich-app/ViT-B-32__openai/resolve/b0921d05f0d91c47e3d97072fada0c1391a936f6",
            "OpenAI's CLIP is under the MIT licence (see https://github.com/openai/CLIP).",
            dict.fromkeys(_CLIP_FILES),
        ),
    )
}

PUBLISHED = {
    pack.name: pack
    for pack in (
        PublishedPack(
            "buffalo_l",
            f"{_RELEASE}/buffalo_l.zip",
            288_621_354,
            "80ffe37d8a5940d59a7384c201a2a38d4741f2f3c51eef46ebb28218a7b0ca2f",
            {
                "det_10g.onnx": "5838f7fe053675b1c7a08b633df49e7af5495cee0493c7dcf6697200b85b5b91",
                "w600k_r50.onnx": "4c06341c33c2ca1f86781dab0e829f88ad5b64be9fba56e56bc9ebdefc619e43",
            },
        ),
        PublishedPack("buffalo_m", f"{_RELEASE}/buffalo_m.zip", None, None, {}),
        PublishedPack("buffalo_s", f"{_RELEASE}/buffalo_s.zip", None, None, {}),
        PublishedPack("buffalo_sc", f"{_RELEASE}/buffalo_sc.zip", None, None, {}),
        PublishedPack("antelopev2", f"{_RELEASE}/antelopev2.zip", None, None, {}),
    )
}
