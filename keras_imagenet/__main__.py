"""python -m keras_imagenet."""

import sys

from keras_imagenet.cli import main

sys.exit(main())
