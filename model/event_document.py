"""A tenant's own types of events, `keepwell.events/v1`: what a tenant writes, as validated data.

These models are the only definition of the format: they validate, and they export the JSON Schema that editors complete from. The types
that everybody has stand in `model/events.py`; a document adds to them and changes none.
"""

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from model.events import CORE, LONGEST_TEXT, MAX_PROPERTIES, Counter, EventType, PropertyType

SCHEMA_ID = "https://keepwell.dev/schemas/events-v1.json"
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,39}$")]
Choice = Annotated[str, Field(min_length=1, max_length=LONGEST_TEXT)]
SIGNS = {None: 0, "adds": 1, "subtracts": -1}


class Part(BaseModel):
    """A part of the document: closed (an unknown key is an error) and immutable."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Property(Part):
    """What a property holds, and within which bounds."""

    type: Literal["text", "integer", "number", "boolean"]
    required: bool = False
    min: float | None = Field(default=None, description="smallest number; integer and number alone")
    max: float | None = Field(default=None, description="largest number; integer and number alone")
    max_length: int = Field(default=LONGEST_TEXT, ge=1, le=LONGEST_TEXT, description="characters; text alone")
    one_of: tuple[Choice, ...] | None = Field(default=None, min_length=1, max_length=64, description="text alone")

    @model_validator(mode="after")
    def _bounds_fit_the_type(self) -> Self:
        given = self.model_fields_set
        if self.type not in {"integer", "number"} and given & {"min", "max"}:
            raise ValueError(f"a {self.type} has no min and no max")
        if self.type != "text" and given & {"max_length", "one_of"}:
            raise ValueError(f"a {self.type} has no max_length and no one_of")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError("min is above max")
        return self


class TypeDeclaration(Part):
    """One type of events."""

    name: Name
    meaning: str = Field(min_length=1, max_length=200, description="what the lead did")
    activity: bool = Field(default=True, description="whether it is something that the lead did by itself")
    counter: Literal["page_views", "email_opens", "email_clicks", "inquiries", "purchases"] | None = Field(
        default=None, description="the features that count it, and the recency that it renews"
    )
    amount: Literal["adds", "subtracts"] | None = Field(
        default=None, description="what its value, which is then required, does to the lead's amounts"
    )
    properties: dict[Name, Property] = Field(default={}, max_length=MAX_PROPERTIES)

    @model_validator(mode="after")
    def _is_new(self) -> Self:
        if self.name in CORE:
            raise ValueError(f"{self.name} is a type that everybody has; names taken are {', '.join(CORE)}")
        return self


class EventsDocument(Part):
    """All of a tenant's own types."""

    schema_: Literal["keepwell.events/v1"] = Field(alias="schema")
    description: str = Field(default="", max_length=2_000)
    types: tuple[TypeDeclaration, ...] = Field(min_length=1, max_length=128)

    @model_validator(mode="after")
    def _names_differ(self) -> Self:
        names = [declared.name for declared in self.types]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"{', '.join(twice)} is declared twice")
        return self


def types_of(document: EventsDocument) -> dict[str, EventType]:
    """Return every type that the tenant has by its name: everybody's, and its own."""
    return {**CORE, **{declared.name: _event_type(declared) for declared in document.types}}


def _event_type(declared: TypeDeclaration) -> EventType:
    return EventType(
        declared.name,
        declared.meaning,
        declared.activity,
        None if declared.counter is None else Counter[declared.counter.upper()],
        SIGNS[declared.amount],
        properties={name: _property_type(declared) for name, declared in declared.properties.items()},
    )


def _property_type(declared: Property) -> PropertyType:
    choices = declared.one_of or ()
    return PropertyType(declared.type, declared.required, declared.min, declared.max, declared.max_length, choices)


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema of a document, from the models that validate it."""
    schema = EventsDocument.model_json_schema(by_alias=True)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": SCHEMA_ID, **schema}
