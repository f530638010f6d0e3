/** What is trained in a walk through the whole platform: small models on a few real pixels, one case for each framework. */

import type { TaskType } from "@vision-platform/contracts/storage-manifests";
import { digitsZip, scenesZip } from "../digits.ts";

export interface Case {
  framework: string;
  task_type: TaskType;
  model_name: string;
  epochs: number;
  batch_size: number;
  learning_rate: number;
  /** Path of the upload, made in the folder. */
  upload: (folder: string) => Promise<string>;
}

export const CASES: readonly Case[] = [
  {
    ...{ framework: "timm", task_type: "image_classification", model_name: "test_resnet" },
    ...{ epochs: 3, batch_size: 64, learning_rate: 0.01 },
    upload: (folder) => digitsZip(folder),
  },
  {
    ...{ framework: "huggingface", task_type: "semantic_segmentation", model_name: "test_segformer" },
    ...{ epochs: 3, batch_size: 8, learning_rate: 0.003 },
    upload: (folder) => scenesZip(folder, "semantic_segmentation", "masks", 40),
  },
  {
    ...{ framework: "ultralytics", task_type: "object_detection", model_name: "test_yolo11" },
    ...{ epochs: 3, batch_size: 8, learning_rate: 0.005 },
    upload: (folder) => scenesZip(folder, "object_detection", "yolo", 40),
  },
  {
    ...{ framework: "custom", task_type: "image_classification", model_name: "reference" },
    ...{ epochs: 3, batch_size: 32, learning_rate: 0.5 },
    upload: (folder) => scenesZip(folder, "image_classification", "image_folder", 200),
  },
];
