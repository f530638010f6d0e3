"""The models of the catalogue: plain data, so that a name can be checked before transformers is loaded.

Sizes are those of the published checkpoints (their config.json on the hub); `test_…` models are our own tiny ones.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from vision_trainer.failures import FailureCode, TrainerFailure

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)
HALF = (0.5, 0.5, 0.5)
# Detection from 0 to 1, as RT-DETR takes its pixels.
ZERO, ONE = (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)


@dataclass(frozen=True, slots=True)
class Family:
    """One architecture of transformers.

    `head` names the parameters that depend on the classes or words, `backbone` those that freezing spares (prefixes of
    state_dict names); `size_step` divides the input's sides.
    """

    task_type: str
    model_class: str
    config_class: str
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    head: tuple[str, ...]
    backbone: tuple[str, ...]
    size_step: int
    letterbox: bool = False
    # The decoder looks at the best of many candidates, so the order of its outputs hangs on near ties.
    two_stage: bool = False


FAMILIES = {
    "vit": Family(
        "image_classification", "ViTForImageClassification", "ViTConfig", HALF, HALF, ("classifier.",), ("vit.",), 16
    ),
    "deit": Family(
        "image_classification",
        "DeiTForImageClassification",
        "DeiTConfig",
        IMAGENET_MEAN,
        IMAGENET_STD,
        ("classifier.",),
        ("deit.",),
        16,
    ),
    "detr": Family(
        "object_detection",
        "DetrForObjectDetection",
        "DetrConfig",
        IMAGENET_MEAN,
        IMAGENET_STD,
        ("class_labels_classifier.",),
        ("model.backbone.",),
        32,
        letterbox=True,
    ),
    "rt_detr": Family(
        "object_detection",
        "RTDetrForObjectDetection",
        "RTDetrConfig",
        ZERO,
        ONE,
        ("class_embed.", "model.enc_score_head.", "model.decoder.class_embed.", "model.denoising_class_embed."),
        ("model.backbone.",),
        32,
        two_stage=True,
    ),
    "segformer": Family(
        "semantic_segmentation",
        "SegformerForSemanticSegmentation",
        "SegformerConfig",
        IMAGENET_MEAN,
        IMAGENET_STD,
        ("decode_head.",),
        ("segformer.",),
        32,
    ),
    "blip": Family(
        "image_captioning",
        "BlipForConditionalGeneration",
        "BlipConfig",
        CLIP_MEAN,
        CLIP_STD,
        ("text_decoder.bert.embeddings.word_embeddings.", "text_decoder.cls.predictions."),
        ("vision_model.",),
        16,
    ),
    "vitpose": Family(
        "pose_estimation",
        "VitPoseForPoseEstimation",
        "VitPoseConfig",
        IMAGENET_MEAN,
        IMAGENET_STD,
        ("head.",),
        ("backbone.",),
        16,
    ),
}


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """One model of the catalogue. `config` goes to the family's configuration class; `height` and `width` in pixels."""

    name: str
    family: str
    title: str
    height: int
    width: int
    config: dict[str, Any]
    tags: tuple[str, ...]
    # Where the published weights lie on the hub, and their licence; None for the tiny models of our own.
    hub: str | None = None
    weights_license: str = "Apache-2.0"
    # (epochs, batch size, learning rate): a start for fine-tuning.
    recommended: tuple[int, int, float] = (10, 32, 5e-5)
    notes: str | None = None
    # (value, unit, on, source) of published figures.
    accuracy: tuple[float, str, str, str] | None = None
    speed: tuple[float, str, str, str] | None = None
    memory_mb: int = 12000


def find_model(name: str | None, task_type: str) -> ModelSpec:
    """The catalogue's entry. Raises MODEL_UNAVAILABLE for an unknown name, BAD_CONFIG for one of another task."""
    spec = MODELS.get(name or "")
    if spec is None:
        raise TrainerFailure(
            FailureCode.MODEL_UNAVAILABLE, f"MODEL_NAME: found {name!r}, expected one of {', '.join(MODELS)}."
        )
    if family_of(spec).task_type != task_type:
        raise TrainerFailure(
            FailureCode.BAD_CONFIG,
            f"TASK_TYPE: found {task_type!r}, but {spec.name} is a model for {family_of(spec).task_type}.",
        )
    return spec


def family_of(spec: ModelSpec) -> Family:
    """The model's architecture."""
    return FAMILIES[spec.family]


def _vit(hidden: int, layers: int, heads: int, patch: int = 16) -> dict[str, Any]:
    return {
        "hidden_size": hidden,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "intermediate_size": 4 * hidden,
        "patch_size": patch,
    }


def _detr(**changes: Any) -> dict[str, Any]:
    # transformers' own ResNet instead of timm's: this environment has no timm.
    backbone = {"model_type": "resnet", "out_features": ["stage4"], **changes.pop("backbone", {})}
    return {"backbone_config": backbone, "auxiliary_loss": True, **changes}


def _rtdetr(depths: list[int], layer_type: str, widths: list[int], **changes: Any) -> dict[str, Any]:
    backbone = {
        "model_type": "rt_detr_resnet",
        "depths": depths,
        "layer_type": layer_type,
        "hidden_sizes": widths,
        "out_indices": [2, 3, 4],
        **changes.pop("backbone", {}),
    }
    return {"backbone_config": backbone, "encoder_in_channels": widths[1:], **changes}


def _segformer(depths: list[int], widths: list[int], decoder: int, **changes: Any) -> dict[str, Any]:
    return {"depths": depths, "hidden_sizes": widths, "decoder_hidden_size": decoder, **changes}


_BERT_WORDS = {"bos_token_id": 30522, "eos_token_id": 2, "pad_token_id": 0, "sep_token_id": 102, "vocab_size": 30524}
_TINY = ("transformer", "tiny")
_TINY_NOTE = "Very small: for trying things out, also without a GPU."
_NVIDIA = "other: NVIDIA Source Code License for SegFormer (non-commercial)"
_COCO = "COCO 2017 validation"
_MMSEGMENTATION = "open-mmlab/mmsegmentation configs/segformer/README.md at 02e04cc2"


def _timm_speed(images_per_s: float) -> tuple[float, str, str, str]:
    """The same architecture, measured by timm."""
    return (
        images_per_s, "images a second", "RTX 4090, mixed precision, 224 px",
        "huggingface/pytorch-image-models results/benchmark-infer-amp-nchw-pt240-cu124-rtx4090.csv at 5c33776a",
    )  # fmt: skip


def _vit_accuracy(top1: float) -> tuple[float, str, str, str]:
    return (top1, "% top-1", "ImageNet-1k validation, 384 px", "arXiv 2010.11929, table 5 (pretrained on ImageNet-21k)")


def _detr_speed(seconds: float) -> tuple[float, str, str, str]:
    return (
        1000 * seconds,
        "ms an image",
        f"{_COCO}, the first 100 images, TorchScript",
        "facebookresearch/detr README.md at 007893f3",
    )


def _rtdetr_speed(fps: float) -> tuple[float, str, str, str]:
    source = "PaddlePaddle/PaddleDetection configs/rtdetr/README.md"
    return (fps, "images a second", "T4, TensorRT, FP16, 640 px", source)


def _segformer_accuracy(miou: float) -> tuple[float, str, str, str]:
    return (miou, "% mIoU", "ADE20K validation, 512 px", _MMSEGMENTATION)


def _segformer_speed(fps: float) -> tuple[float, str, str, str]:
    return (fps, "images a second", "V100, 512 px", _MMSEGMENTATION)


_NVIDIA_NOTE = "The published weights may not be used commercially; from scratch there is no such limit."

_ALL = (
    ModelSpec(
        "vit_base_patch16_224", "vit", "ViT Base, patch 16", 224, 224, _vit(768, 12, 12),
        ("transformer", "recommended"), hub="google/vit-base-patch16-224",
        accuracy=_vit_accuracy(83.97), speed=_timm_speed(2787.15),
    ),
    ModelSpec(
        "vit_large_patch16_224", "vit", "ViT Large, patch 16", 224, 224, _vit(1024, 24, 16), ("transformer", "large"),
        hub="google/vit-large-patch16-224", recommended=(10, 16, 2e-5), memory_mb=15000,
        accuracy=_vit_accuracy(85.15), speed=_timm_speed(912.7),
    ),
    ModelSpec(
        "deit_tiny_patch16_224", "deit", "DeiT Tiny, patch 16", 224, 224, _vit(192, 12, 3), ("transformer", "mobile"),
        hub="facebook/deit-tiny-patch16-224", recommended=(10, 64, 1e-4), memory_mb=4000,
        accuracy=(72.2, "% top-1", "ImageNet-1k validation", "model card of facebook/deit-tiny-patch16-224"),
        speed=_timm_speed(17673.84),
    ),
    ModelSpec(
        "deit_small_patch16_224", "deit", "DeiT Small, patch 16", 224, 224, _vit(384, 12, 6),
        ("transformer", "recommended"), hub="facebook/deit-small-patch16-224", recommended=(10, 64, 5e-5),
        memory_mb=8000,
        accuracy=(79.9, "% top-1", "ImageNet-1k validation", "model card of facebook/deit-small-patch16-224"),
        speed=_timm_speed(7687.89),
    ),
    ModelSpec(
        "deit_base_patch16_224", "deit", "DeiT Base, patch 16", 224, 224, _vit(768, 12, 12), ("transformer",),
        hub="facebook/deit-base-patch16-224",
        accuracy=(81.8, "% top-1", "ImageNet-1k validation", "model card of facebook/deit-base-patch16-224"),
        speed=_timm_speed(2847.84),
    ),
    ModelSpec(
        "detr_resnet50", "detr", "DETR, ResNet-50", 800, 800, _detr(), ("transformer", "classic"),
        hub="facebook/detr-resnet-50 (revision no_timm)", recommended=(50, 4, 1e-4), memory_mb=14000,
        accuracy=(42.0, "% AP", _COCO, "model card of facebook/detr-resnet-50"),
        speed=_detr_speed(0.036),
        notes="Learns slowly from scratch (hundreds of epochs); start from the published weights.",
    ),
    ModelSpec(
        "detr_resnet101", "detr", "DETR, ResNet-101", 800, 800, _detr(backbone={"depths": [3, 4, 23, 3]}),
        ("transformer", "classic"), hub="facebook/detr-resnet-101 (revision no_timm)", recommended=(50, 2, 1e-4),
        accuracy=(43.5, "% AP", _COCO, "model card of facebook/detr-resnet-101"), memory_mb=14000,
        speed=_detr_speed(0.050),
    ),
    ModelSpec(
        "rtdetr_r18", "rt_detr", "RT-DETR, ResNet-18", 640, 640,
        _rtdetr([2, 2, 2, 2], "basic", [64, 128, 256, 512], decoder_layers=3, hidden_expansion=0.5),
        ("transformer", "realtime", "recommended"), hub="PekingU/rtdetr_r18vd", recommended=(40, 16, 1e-4),
        accuracy=(46.5, "% AP", _COCO, "model card of PekingU/rtdetr_r18vd"),
        speed=_rtdetr_speed(217),
    ),
    ModelSpec(
        "rtdetr_r34", "rt_detr", "RT-DETR, ResNet-34", 640, 640,
        _rtdetr([3, 4, 6, 3], "basic", [64, 128, 256, 512], decoder_layers=4, hidden_expansion=0.5),
        ("transformer", "realtime"), hub="PekingU/rtdetr_r34vd", recommended=(40, 12, 1e-4),
        accuracy=(48.9, "% AP", _COCO, "model card of PekingU/rtdetr_r34vd"),
        speed=_rtdetr_speed(161),
    ),
    ModelSpec(
        "rtdetr_r50", "rt_detr", "RT-DETR, ResNet-50", 640, 640,
        _rtdetr([3, 4, 6, 3], "bottleneck", [256, 512, 1024, 2048]), ("transformer", "realtime"),
        hub="PekingU/rtdetr_r50vd", recommended=(40, 8, 1e-4), memory_mb=14000,
        accuracy=(53.1, "% AP", _COCO, "model card of PekingU/rtdetr_r50vd"),
        speed=_rtdetr_speed(108),
    ),
    ModelSpec(
        "segformer_b0", "segformer", "SegFormer B0", 512, 512, _segformer([2, 2, 2, 2], [32, 64, 160, 256], 256),
        ("transformer", "mobile", "recommended"), hub="nvidia/mit-b0", weights_license=_NVIDIA, notes=_NVIDIA_NOTE,
        recommended=(50, 16, 6e-5), memory_mb=8000, accuracy=_segformer_accuracy(37.41), speed=_segformer_speed(51.32),
    ),
    ModelSpec(
        "segformer_b1", "segformer", "SegFormer B1", 512, 512, _segformer([2, 2, 2, 2], [64, 128, 320, 512], 256),
        ("transformer",), hub="nvidia/mit-b1", weights_license=_NVIDIA, notes=_NVIDIA_NOTE, recommended=(50, 12, 6e-5),
        accuracy=_segformer_accuracy(40.97), speed=_segformer_speed(47.66),
    ),
    ModelSpec(
        "segformer_b2", "segformer", "SegFormer B2", 512, 512, _segformer([3, 4, 6, 3], [64, 128, 320, 512], 768),
        ("transformer",), hub="nvidia/mit-b2", weights_license=_NVIDIA, notes=_NVIDIA_NOTE, recommended=(50, 8, 6e-5),
        accuracy=_segformer_accuracy(45.58), speed=_segformer_speed(30.88),
    ),
    ModelSpec(
        "blip_base", "blip", "BLIP captioning Base", 384, 384,
        {
            "vision_config": {**_vit(768, 12, 12), "image_size": 384},
            "text_config": {
                "hidden_size": 768, "encoder_hidden_size": 768, "intermediate_size": 3072, "num_hidden_layers": 12,
                "num_attention_heads": 12, "projection_dim": 768, "is_decoder": True, **_BERT_WORDS,
            },
        },
        ("transformer", "language"), hub="Salesforce/blip-image-captioning-base", weights_license="BSD-3-Clause",
        recommended=(10, 8, 2e-5), memory_mb=15000,
        accuracy=(39.7, "BLEU-4", "COCO captions, Karpathy test split", "arXiv 2201.12086, table 7"),
    ),
    ModelSpec(
        "vitpose_base", "vitpose", "ViTPose Base (simple decoder)", 256, 192,
        {
            "backbone_config": {
                "model_type": "vitpose_backbone", "hidden_size": 768, "num_hidden_layers": 12,
                "num_attention_heads": 12, "image_size": [256, 192], "patch_size": [16, 16], "out_indices": [12],
            },
            "use_simple_decoder": True, "scale_factor": 4,
        },
        ("transformer", "top-down"), hub="usyd-community/vitpose-base-simple", recommended=(50, 32, 1e-4),
        accuracy=(75.5, "% AP", "COCO 2017 validation, boxes of a detector", "ViTAE-Transformer/ViTPose README.md"),
        notes="Looks at one object at a time: predictions need boxes, from a dataset, or take the image as one object.",
    ),
    ModelSpec(
        "test_vit", "vit", "Test ViT (tiny)", 32, 32, _vit(96, 4, 4, patch=8), _TINY, recommended=(15, 32, 2e-3),
        notes=_TINY_NOTE, memory_mb=600,
    ),
    ModelSpec(
        "test_deit", "deit", "Test DeiT (tiny)", 32, 32, _vit(96, 4, 4, patch=8), _TINY, recommended=(15, 32, 2e-3),
        notes=_TINY_NOTE, memory_mb=600,
    ),
    ModelSpec(
        "test_detr", "detr", "Test DETR (tiny)", 96, 96,
        _detr(
            backbone={"embedding_size": 16, "hidden_sizes": [16, 24, 32, 48], "depths": [1, 1, 1, 1],
                      "layer_type": "basic", "out_features": ["stage3"]},
            d_model=64, encoder_layers=1, decoder_layers=2, encoder_ffn_dim=128, decoder_ffn_dim=128,
            encoder_attention_heads=4, decoder_attention_heads=4, num_queries=12, dropout=0.0,
        ),
        _TINY, recommended=(100, 8, 1e-3), notes=_TINY_NOTE, memory_mb=600,
    ),
    ModelSpec(
        "test_rtdetr", "rt_detr", "Test RT-DETR (tiny)", 96, 96,
        _rtdetr(
            [1, 1, 1, 1], "basic", [16, 32, 64, 64], backbone={"embedding_size": 16},
            d_model=64, encoder_hidden_dim=64, encoder_ffn_dim=128, decoder_ffn_dim=128, encoder_attention_heads=4,
            decoder_attention_heads=4, decoder_layers=1, decoder_in_channels=[64, 64, 64], num_queries=30,
            num_denoising=10, hidden_expansion=0.5,
        ),
        _TINY, recommended=(60, 8, 2e-3), notes=_TINY_NOTE, memory_mb=600,
    ),
    ModelSpec(
        "test_segformer", "segformer", "Test SegFormer (tiny)", 96, 96,
        _segformer(
            [1, 1, 1, 1], [16, 24, 40, 56], 64, num_attention_heads=[1, 1, 2, 4], classifier_dropout_prob=0.0,
            drop_path_rate=0.0,
        ),
        _TINY, recommended=(30, 8, 2e-3), notes=_TINY_NOTE, memory_mb=600,
    ),
    ModelSpec(
        "test_blip", "blip", "Test BLIP (tiny)", 64, 64,
        {
            "vision_config": {**_vit(64, 2, 4), "image_size": 64},
            "text_config": {
                "hidden_size": 64, "encoder_hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2,
                "num_attention_heads": 4, "projection_dim": 64, "is_decoder": True, "max_position_embeddings": 64,
                "attention_probs_dropout_prob": 0.0, "hidden_dropout_prob": 0.0, **_BERT_WORDS,
            },
        },
        _TINY, recommended=(60, 8, 2e-3), notes=_TINY_NOTE, memory_mb=600,
    ),
    ModelSpec(
        "test_vitpose", "vitpose", "Test ViTPose (tiny)", 64, 64,
        {
            "backbone_config": {
                "model_type": "vitpose_backbone", "hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4,
                "image_size": [64, 64], "patch_size": [8, 8], "out_indices": [2],
            },
            "use_simple_decoder": True, "scale_factor": 4,
        },
        ("transformer", "top-down", "tiny"), recommended=(60, 16, 2e-3), notes=_TINY_NOTE, memory_mb=600,
    ),
)  # fmt: skip

MODELS = {spec.name: spec for spec in _ALL}
