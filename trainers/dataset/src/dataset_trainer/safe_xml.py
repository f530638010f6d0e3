"""XML from an upload, by expat with everything off that is not elements and text: no DTD, no entities, bounded size."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NoReturn
from xml.parsers import expat

from .findings import Code
from .labels import BadAnnotation
from .limits import Limits


@dataclass(slots=True)
class Element:
    """One element: its name, its text without surrounding space, its child elements."""

    name: str
    text: str = ""
    children: list[Element] = field(default_factory=list)

    def child(self, name: str) -> Element | None:
        """The first child of that name."""
        return next((child for child in self.children if child.name == name), None)

    def value(self, name: str) -> str:
        """The text of the first child of that name; empty without one."""
        found = self.child(name)
        return "" if found is None else found.text.strip()


def parse_xml(data: bytes, limits: Limits) -> Element:
    """The root element. Raises BadAnnotation: ANNOTATION_BOMB for a DTD, deep nesting or many elements."""
    root = Element("")
    open_elements = [root]
    count = 0

    def started(name: str, attributes: dict[str, str]) -> None:
        nonlocal count
        count += 1
        if len(open_elements) > limits.xml_depth or count > limits.xml_elements:
            raise BadAnnotation(Code.ANNOTATION_BOMB, "The XML is nested too deeply or has too many elements.")
        element = Element(name)
        open_elements[-1].children.append(element)
        open_elements.append(element)

    def ended(name: str) -> None:
        open_elements.pop()

    def told(text: str) -> None:
        open_elements[-1].text += text

    def refused(*arguments: object) -> NoReturn:
        raise BadAnnotation(Code.ANNOTATION_BOMB, "The XML declares a document type or entities; leave them out.")

    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.StartElementHandler = started
    parser.EndElementHandler = ended
    parser.CharacterDataHandler = told
    parser.StartDoctypeDeclHandler = refused
    parser.EntityDeclHandler = refused
    parser.ExternalEntityRefHandler = refused
    try:
        parser.Parse(data, True)
    except expat.ExpatError as error:
        reason = f"The XML is damaged in line {error.lineno}: {expat.errors.messages[error.code]}."
        raise BadAnnotation(Code.ANNOTATION_CORRUPT, reason) from None
    except (ValueError, LookupError):  # an encoding that expat does not know
        raise BadAnnotation(Code.ANNOTATION_CORRUPT, "The XML has an unknown encoding.") from None
    return root.children[0]
