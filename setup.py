"""Metadata is in setup.cfg; the packages are found here, and the recipes in configs/ join them."""

from setuptools import find_packages, setup

setup(packages=[*find_packages(include=["keras_imagenet*"]), "keras_imagenet.configs"])
