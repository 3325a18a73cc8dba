"""What a page sent with an event: names and words only, and nothing of it is believed before it is looked up."""

import gradio as gr


def value(event: gr.EventData, name: str) -> object:
    """Whatever was sent as `name`, None where nothing was."""
    data = event._data
    return data.get(name) if isinstance(data, dict) else None


def word(event: gr.EventData, name: str) -> str:
    """The text that was sent as `name`, else ""."""
    found = value(event, name)
    return found if isinstance(found, str) else ""


def number(event: gr.EventData, name: str) -> int:
    """The whole number that was sent as `name`, else -1."""
    found = value(event, name)
    return found if isinstance(found, int) else -1
