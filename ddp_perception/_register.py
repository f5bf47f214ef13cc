"""Tell mmengine about the ``ddp`` scope without importing mmengine.

``custom_imports=dict(imports=['ddp_perception'])`` must be all that a config
needs, while a process that uses only the diffusion core must never import
OpenMMLab. So the registries are created at once where mmengine is loaded
already, and otherwise right after somebody else loads it.

Simpler ways break one half of this. Importing mmengine here makes the core load
it wherever it is installed. Looking only whether it is loaded fails where this
package came first: a script that imports the core, or our own command, and then
reads a configuration; its custom_imports finds the package imported already and
runs nothing. Registries have no entry points that mmengine would look up, and
another module in custom_imports would break the configurations that users have.
The finder acts on one name, once, and then removes itself.
"""
import importlib
import importlib.abc
import importlib.util
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType

_TRIGGER = 'mmengine.registry'


class _AfterImport(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Import ``ddp_perception.registry`` right after ``mmengine.registry``."""

    _loader: importlib.abc.Loader

    def find_spec(self, fullname: str, path: Sequence[str] | None = None,
                  target: ModuleType | None = None) -> ModuleSpec | None:
        """Claim the trigger module once, and leave every other module."""
        if fullname != _TRIGGER:
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(fullname)
        if spec is None or spec.loader is None:
            return None
        self._loader, spec.loader = spec.loader, self
        return spec

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        """Let the module's own loader create it."""
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        """Run the module under its own loader, then create our registries."""
        if module.__spec__ is not None:
            module.__spec__.loader = self._loader
        module.__loader__ = self._loader
        self._loader.exec_module(module)
        importlib.import_module('ddp_perception.registry')


def register_with_mmengine() -> None:
    """Create the ``ddp`` registries now or as soon as mmengine is loaded."""
    if _TRIGGER in sys.modules:
        importlib.import_module('ddp_perception.registry')
    elif not any(isinstance(finder, _AfterImport) for finder in sys.meta_path):
        sys.meta_path.insert(0, _AfterImport())
