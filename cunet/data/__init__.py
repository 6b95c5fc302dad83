"""Datasets and loaders."""

from ..system.public import publish as _publish
from .affine import RandomAffine as RandomAffine
from .augment import Augmentation as Augmentation
from .augment import Compose as Compose
from .augment import Normalize as Normalize
from .augment import RandomCrop as RandomCrop
from .augment import RandomErasing as RandomErasing
from .augment import RandomFlip as RandomFlip
from .cifar import CIFAR10 as CIFAR10
from .collation import collate as collate
from .digits import Digits as Digits
from .fold import fold_scaler as fold_scaler
from .folder import ImageFolder as ImageFolder
from .idx import CorruptFile as CorruptFile
from .idx import read_idx as read_idx
from .idx import write_idx as write_idx
from .images import DatasetUnavailable as DatasetUnavailable
from .images import Images as Images
from .load import load_images as load_images
from .loader import Loader as Loader
from .mixing import CutMix as CutMix
from .mixing import MixUp as MixUp
from .mnist import MNIST as MNIST
from .relatives import EMNIST as EMNIST
from .relatives import FashionMNIST as FashionMNIST
from .sampling import Stratified as Stratified
from .sampling import Weighted as Weighted
from .scaling import MinMaxScaler as MinMaxScaler
from .scaling import StandardScaler as StandardScaler
from .split import folds as folds
from .split import split as split
from .whitening import CholeskyWhitening as CholeskyWhitening
from .whitening import PCAWhitening as PCAWhitening
from .whitening import ZCAWhitening as ZCAWhitening

__all__, __dir__ = _publish(__name__)
