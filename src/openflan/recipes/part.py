"""What every part of a recipe is: strict data that knows which of its settings count for what."""

from typing import Any

from openflan.recipes.counting import Purpose, purposes_of
from openflan.records import Record

__all__ = ["Part"]


class Part(Record):
    """A part of a recipe: an unknown key is an error, and nothing is coerced."""

    def counted(self, purpose: Purpose) -> dict[str, Any]:
        """The settings that count for a purpose (the content of a stage, say), as JSON can hold them."""
        settings: dict[str, Any] = {}
        for name, field in type(self).model_fields.items():
            mark, value = purposes_of(field), getattr(self, name)
            if mark is not None and purpose in mark.purposes:
                settings |= self.model_dump(mode="json", include={name})
            elif mark is None and isinstance(value, Part) and (below := value.counted(purpose)):
                settings[name] = below
        return settings
