"""timm hands each model the description of its weights since 0.6; the repository's models know no such argument."""

from models.convnext import ConvNeXt
from models.convnext_isotropic import ConvNeXtIsotropic


def take_pretrained_cfg():
    """Lets the repository's models pass the argument over."""
    for model in (ConvNeXt, ConvNeXtIsotropic):
        _pass_over(model)


def _pass_over(model):
    original = model.__init__

    def __init__(self, *args, pretrained_cfg=None, **options):
        original(self, *args, **options)

    model.__init__ = __init__
