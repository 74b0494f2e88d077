"""Pretrained models: loaded safely, called frugally."""
