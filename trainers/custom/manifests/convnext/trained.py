"""A checkpoint of the repository as a model, and its pictures as the repository prepares them for evaluation."""

import json
from pathlib import Path

import datasets
import torch
from older_timm import take_pretrained_cfg
from timm.models import create_model


def load(checkpoint, device="cpu"):
    """(model in evaluation mode, the options it was trained with)."""
    take_pretrained_cfg()
    saved = torch.load(checkpoint, map_location="cpu")
    options = saved["args"]
    model = create_model(
        options.model,
        pretrained=False,
        num_classes=options.nb_classes,
        drop_path_rate=options.drop_path,
        layer_scale_init_value=options.layer_scale_init_value,
        head_init_scale=options.head_init_scale,
    )
    model.load_state_dict(saved["model"])
    return model.to(device).eval(), options


def dataset(options, folder):
    """The repository's evaluation data set over an image folder."""
    options.eval_data_path = folder
    return datasets.build_dataset(is_train=False, args=options)[0]


def labels(row):
    """The five likeliest classes of one row of logits, likeliest first."""
    probabilities = torch.softmax(row.float(), 0)
    order = probabilities.argsort(descending=True)[:5].tolist()
    return [{"category": index, "score": min(1.0, float(probabilities[index]))} for index in order]


def write_json(path, content):
    """Writes a JSON file."""
    Path(path).write_text(json.dumps(content, indent=1), encoding="utf-8")
