"""Components: registration, lookup by name, discovery in installed packages, and settings as plain data.

A *component* is a front-end, an encoder, an objective, a recipe, an evaluation protocol, a corpus adapter or a
published model. One file holds it: a class or a function, its settings (a frozen dataclass) and one registration
beside the definition. Everything else walks the registries: the command line, saving, the documentation, the tests.
"""

from soundloom.components.module_component import ModuleComponent, component_of, presets, register_class
from soundloom.components.module_config import ModuleConfig
from soundloom.components.object_names import import_object, is_object_name, object_name
from soundloom.components.plain_data import from_plain
from soundloom.components.registry import GROUP, ComponentWarning, Registry
from soundloom.components.trust import TRUST_VARIABLE, check_trusted, is_trusted
from soundloom.components.value_digest import digest_of

__all__ = [
    "GROUP",
    "TRUST_VARIABLE",
    "ComponentWarning",
    "ModuleComponent",
    "ModuleConfig",
    "Registry",
    "check_trusted",
    "component_of",
    "digest_of",
    "from_plain",
    "import_object",
    "is_object_name",
    "is_trusted",
    "object_name",
    "presets",
    "register_class",
]
