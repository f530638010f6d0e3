"""The timm trainer's loop without the platform: same model, data and settings, but no events, checkpoints or uploads.

Prints the training throughput of each epoch (images/s) as one JSON list. Settings as JSON in argv[1].
"""

import json
import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, cast

import timm
import torch
from timm_trainer.images import PRESETS, ImageSource
from timm_trainer.learner import Learner
from timm_trainer.loader import TrainingBatches, prefetch
from timm_trainer.model import model_input
from timm_trainer.sampling import batches, steps_per_epoch
from timm_trainer.schedule import learning_rate
from timm_trainer.settings import TimmSettings
from vision_trainer.cpu_limits import available_cpus
from vision_trainer.dataset import open_dataset
from vision_trainer.environment import StorageSettings
from vision_trainer.storage import Storage

task = json.loads(sys.argv[1])
storage = Storage(
    StorageSettings(
        type="s3",
        bucket=task["bucket"],
        endpoint=task["s3_endpoint"],
        region="us-east-1",
        force_path_style=True,
        access_key_id=os.environ["S3_ACCESS_KEY_ID"],
        secret_access_key=os.environ["S3_SECRET_ACCESS_KEY"],
    )
)
reader = open_dataset(storage, task["dataset_uri"], Path(task["cache_dir"]))
settings = TimmSettings()
seed, epochs, batch_size, peak_lr = task["seed"], task["epochs"], task["batch_size"], task["learning_rate"]
torch.set_num_threads(available_cpus())
torch.manual_seed(seed)
samples = reader.split("train")
shape = model_input(task["model_name"], settings, samples)
model = timm.create_model(task["model_name"], num_classes=len(reader.classes), drop_rate=settings.drop_rate)
# On a CPU the learner says nothing: its events are about GPU memory.
learner = Learner(model, settings, shape, torch.device("cpu"), peak_lr, cast(Any, None))
train_batches = TrainingBatches(ImageSource(reader, samples), shape.size, PRESETS[settings.augmentation], seed, pin=False)
steps = steps_per_epoch(len(samples), batch_size)
threads = max(1, min(8, available_cpus() // 2))
update, rates = 0, []
with ThreadPoolExecutor(threads) as pool:
    for epoch in range(epochs):
        begin = time.monotonic()
        index_lists = batches(seed, epoch, len(samples), batch_size)
        for images, labels in prefetch(
            lambda indices, epoch=epoch: train_batches.make(epoch, indices), index_lists, pool, threads + 1
        ):
            lr = learning_rate(update, epochs * steps, round(settings.warmup_epochs * steps), peak_lr, settings.min_lr_ratio)
            learner.update(images, labels, lr, update)
            update += 1
        rates.append(len(samples) / (time.monotonic() - begin))
print(json.dumps(rates))
