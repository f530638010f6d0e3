import type { Prediction } from "@vision-platform/contracts/storage-manifests";
import { expect, test } from "vitest";
import { evaluationLines, exportLines, predictionLines } from "./result-lines.ts";

const size = { width: 8, height: 8 };

test("an evaluation is told per class, with the worst samples", () => {
  const per_class = Array.from({ length: 22 }, (_, index) => ({
    name: `c${index}`,
    support: 10,
    metrics: { "val/top1": index / 22 },
  }));
  const worst = [{ image: "a.png", score: 0.1, prediction: "3 (0.6)", truth: "8" }];
  const lines = evaluationLines({
    ...{ v: 1, task_type: "image_classification", split: "val", samples: 1220, metrics: {}, classes: [] },
    ...{ per_class, worst },
  });
  expect(lines.slice(0, 3)).toEqual(["1,220 samples of val", "CLASS  SAMPLES  VAL/TOP1", "c0          10         0"]);
  expect(lines.slice(-2)).toEqual(["… and 2 more classes in evaluation.json", "worst: a.png: 3 (0.6) instead of 8"]);
});

test.each<[Partial<Prediction>, string]>([
  [
    { labels: [0.9, 0.06, 0.04].map((score, category) => ({ category, name: `n${category}`, score })) },
    "n0 0.9000, n1 0.06000",
  ],
  [{ objects: [] }, "nothing found"],
  [{ objects: [{ category: 1, name: "cat", score: 0.5, box: [0, 0, 1, 1] }] }, "1 found: cat 0.5000"],
  [{ mask: { artifact: "a.png", shares: { road: 0.25, sky: 0.75 } } }, "sky 75.0 %, road 25.0 %"],
  [{ caption: "two \u001b[31mdigits" }, "two digits"],
])("a prediction %j is told as %s", (prediction, words) => {
  const image = "s3://bucket/jobs/3/images/0123456789abcdef-cat.jpg";
  expect(predictionLines([{ image, ...size, ...prediction }])).toEqual([`cat.jpg: ${words}`]);
  expect(predictionLines([{ image: "val/7", ...size, ...prediction }])).toEqual([`val/7: ${words}`]);
});

test("an export tells how near it comes to the original", () => {
  const lines = exportLines({
    ...{ v: 1, format: "onnx", artifact: "export/model.onnx", engine: "onnxruntime 1.30", opset: 18 },
    inputs: [{ name: "images", shape: ["batch", 3, 160, 160], type: "float32" }],
    ...{ outputs: [], preprocessing: {}, classes: [] },
    parity: {
      ...{ samples: 16, max_abs_diff: 1.2e-6, tolerance: 1e-4, metric: "val/top1" },
      ...{ metric_original: 0.975, metric_exported: 0.975, metric_diff: 0 },
    },
  });
  expect(lines).toEqual([
    "export/model.onnx: onnx (opset 18), takes images float32 [batch, 3, 160, 160]",
    "on 16 samples it differs by 1.20e-6 at most (1.00e-4 allowed); val/top1 0.9750, of the original 0.9750",
  ]);
});
