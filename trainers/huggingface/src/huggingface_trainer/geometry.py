"""Where a part of an image lies in the model's input: one view moves pixels, boxes, masks and key points alike."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

# Height x width x 3, uint8.
Picture = np.ndarray[Any, np.dtype[np.uint8]]
Points = np.ndarray[Any, np.dtype[np.float32]]


@dataclass(frozen=True, slots=True)
class View:
    """The part (left, top, right, bottom) of the upright image, scaled to `width` x `height` input pixels.

    The part may stick out of the image (black there). Below and to the right of it the input is padded with black.
    `flip` mirrors the part left to right before it is placed.
    """

    part: tuple[float, float, float, float]
    width: int
    height: int
    flip: bool = False

    @property
    def scale(self) -> tuple[float, float]:
        """Input pixels per image pixel, across and down."""
        left, top, right, bottom = self.part
        return self.width / (right - left), self.height / (bottom - top)

    def to_input(self, points: Points) -> Points:
        """(N, 2) x, y in pixels of the upright image → in pixels of the input."""
        moved: Points = (points - np.asarray(self.part[:2], np.float32)) * np.asarray(self.scale, np.float32)
        if self.flip:
            moved[:, 0] = self.width - moved[:, 0]
        return moved

    def to_image(self, points: Points) -> Points:
        """(N, 2) x, y in pixels of the input → in pixels of the upright image."""
        moved = points.copy()
        if self.flip:
            moved[:, 0] = self.width - moved[:, 0]
        moved /= np.asarray(self.scale, np.float32)
        moved += np.asarray(self.part[:2], np.float32)
        return moved

    def boxes_to_input(self, boxes: Points) -> Points:
        """(N, 4) x, y, width, height of the image → left, top, right, bottom of the input, cut off at its part."""
        corners = np.concatenate([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], axis=1).reshape(-1, 2)
        moved = self.to_input(corners.astype(np.float32)).reshape(-1, 4)
        if self.flip:
            moved = moved[:, [2, 1, 0, 3]]
        limits = np.asarray([self.width, self.height, self.width, self.height], np.float32)
        return np.clip(moved, 0.0, limits)

    def boxes_to_image(self, boxes: Points, image_width: int, image_height: int) -> Points:
        """(N, 4) left, top, right, bottom of the input → x, y, width, height of the image, cut off at its edges."""
        corners = self.to_image(boxes.reshape(-1, 2).astype(np.float32)).reshape(-1, 4)
        if self.flip:
            corners = corners[:, [2, 1, 0, 3]]
        limits = np.asarray([image_width, image_height, image_width, image_height], np.float32)
        corners = np.clip(corners, 0.0, limits)
        boxes_xywh: Points = np.concatenate([corners[:, :2], corners[:, 2:] - corners[:, :2]], axis=1)
        return boxes_xywh

    def render(self, image: Image.Image, canvas_height: int, canvas_width: int) -> Image.Image:
        """The input picture: the part scaled (smoothed where it shrinks), on a black canvas."""
        return self._place(image, canvas_height, canvas_width, Image.Resampling.BILINEAR, 0)

    def render_mask(self, mask: Image.Image, canvas_height: int, canvas_width: int, ignored: int) -> Image.Image:
        """The same for class indices: nearest pixel, `ignored` where the image does not reach."""
        return self._place(mask, canvas_height, canvas_width, Image.Resampling.NEAREST, ignored)

    def _place(
        self, image: Image.Image, height: int, width: int, resampling: Image.Resampling, fill: int
    ) -> Image.Image:
        left, top, right, bottom = self.part
        colour = (fill,) * 3 if image.mode == "RGB" else fill
        if left < 0 or top < 0 or right > image.width or bottom > image.height:
            scale_x, scale_y = self.scale
            matrix = (1 / scale_x, 0.0, left, 0.0, 1 / scale_y, top)
            scaled = image.transform(
                (self.width, self.height),
                Image.Transform.AFFINE,
                matrix,
                resample=resampling,
                fillcolor=colour,
            )
        else:
            gap = 2.0 if resampling is Image.Resampling.BILINEAR else None
            scaled = image.resize((self.width, self.height), resampling, box=self.part, reducing_gap=gap)
        if self.flip:
            scaled = scaled.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        if scaled.size == (width, height):
            return scaled
        canvas = Image.new(image.mode, (width, height), colour)
        canvas.paste(scaled, (0, 0))
        return canvas


def squashed(image_width: int, image_height: int, height: int, width: int) -> View:
    """The whole image, stretched to fill the input: what ViT, RT-DETR, SegFormer and BLIP were trained with."""
    return View((0.0, 0.0, float(image_width), float(image_height)), width, height)


def letterboxed(image_width: int, image_height: int, height: int, width: int) -> View:
    """The whole image as large as it fits with its own proportions, the rest padded: what DETR was trained with."""
    scale = min(width / image_width, height / image_height)
    part = (0.0, 0.0, float(image_width), float(image_height))
    return View(part, max(1, round(image_width * scale)), max(1, round(image_height * scale)))


def around_box(box: tuple[float, float, float, float], height: int, width: int, padding: float = 1.25) -> View:
    """The surroundings of a box (x, y, width, height) in the input's proportions: the top-down view of one object.

    The box is widened to the input's aspect ratio and by `padding`, as in SimpleBaselines (Xiao et al. 2018).
    """
    x, y, box_width, box_height = box
    centre_x, centre_y = x + box_width / 2, y + box_height / 2
    aspect = width / height
    part_width = max(box_width, box_height * aspect, 1.0) * padding
    part_height = part_width / aspect
    left, top = centre_x - part_width / 2, centre_y - part_height / 2
    return View((left, top, left + part_width, top + part_height), width, height)
