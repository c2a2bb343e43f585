"""HTML and SVG that cannot be broken out of: all text is escaped here, and nowhere else is a page put together."""

import html
import json

from gancli.text import printable

VOID = frozenset({"meta", "img", "input", "br"})


class Markup(str):
    """Text that is HTML already. Made by `tag`, `joined` and `json_data` only, and from files of the package."""

    __slots__ = ()


def escaped(text: object) -> Markup:
    """Text as it stands, control characters made visible."""
    if isinstance(text, Markup):
        return text
    lines = str(text).split("\n")
    return Markup(html.escape("\n".join(line if line.isprintable() else printable(line) for line in lines), quote=True))


def joined(*parts: object) -> Markup:
    return Markup("".join(escaped(part) for part in parts if part is not None))


def tag(name: str, /, *inner: object, cls: str = "", **attributes: object) -> Markup:
    """An element. `cls` is its class; `aria_label` and the like have dashes; True stands alone, None and False are left
    out."""
    words = [name, *([f'class="{escaped(cls)}"'] if cls else [])]
    for key, value in attributes.items():
        if value is not None and value is not False:
            written = key.rstrip("_").replace("_", "-")
            words.append(written if value is True else f'{written}="{escaped(value)}"')
    opening = Markup(f"<{' '.join(words)}>")
    return opening if name in VOID else Markup(f"{opening}{joined(*inner)}</{name}>")


def json_data(value: object) -> Markup:
    """A value for a script to read: no `<` can end the element that it stands in, nor begin another."""
    compact = json.dumps(value, allow_nan=False, separators=(",", ":"))
    return Markup(compact.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e"))
