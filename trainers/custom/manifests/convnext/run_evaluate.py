"""run_evaluate.py <checkpoint> <image folder> <batch> <device> <report>: the repository's evaluation, by class."""

import sys
from pathlib import Path

import engine
import torch
import trained

WORST_SHOWN = 16


class Recorder(torch.nn.Module):
    """Keeps what the model answers while the repository measures."""

    def __init__(self, model):
        super().__init__()
        self.model = model
        self.outputs = []

    def forward(self, images):
        """The model's answer."""
        output = self.model(images)
        self.outputs.append(output.float().cpu())
        return output


@torch.no_grad()
def main():
    """Measures and writes the report."""
    checkpoint, folder, batch, device, report = sys.argv[1:]
    model, options = trained.load(checkpoint, device)
    data = trained.dataset(options, folder)
    recorder = Recorder(model)
    # main.py evaluates with one and a half times the batch.
    loader = torch.utils.data.DataLoader(data, batch_size=int(1.5 * int(batch)), num_workers=0)
    figures = engine.evaluate(loader, recorder, torch.device(device), use_amp=False)
    logits = torch.cat(recorder.outputs)
    truth = torch.tensor([label for _, label in data.samples])
    found = logits.argmax(1)
    classes = logits.shape[1]
    matrix = torch.zeros(classes, classes, dtype=torch.int64)
    matrix.index_put_((truth, found), torch.ones_like(truth), accumulate=True)
    sure = torch.softmax(logits, 1)[torch.arange(len(truth)), truth]
    trained.write_json(
        report,
        {
            "metrics": {
                "val/top1": figures["acc1"] / 100,
                "val/top5": figures["acc5"] / 100,
                "val/loss": figures["loss"],
            },
            "samples": len(truth),
            "per_class": [per_class(matrix, index) for index in range(classes)],
            "confusion_matrix": matrix.tolist(),
            "worst": [
                {
                    "image": Path(data.samples[index][0]).name,
                    "score": float(sure[index]),
                    "truth": str(int(truth[index])),
                    "labels": trained.labels(logits[index]),
                }
                for index in sure.argsort()[:WORST_SHOWN].tolist()
            ],
        },
    )


def per_class(matrix, index):
    """Recall, precision and F1 of a class; null where it was not there, or never found."""
    hits, there, said = (float(value) for value in (matrix[index, index], matrix[index].sum(), matrix[:, index].sum()))
    return {
        "category": index,
        "support": int(there),
        "metrics": {
            "recall": hits / there if there else None,
            "precision": hits / said if said else None,
            "f1": 2 * hits / (there + said) if there + said else None,
        },
    }


if __name__ == "__main__":
    main()
