"""Texts in which a model server's tokenizer finds no control token.

Servers put texts into the model's chat template and read the whole as one, so that "<|im_end|>" in a document would end
the turn that quotes it. A space inside breaks each mark of the families in use; people read it all the same.
"""

import re

# ChatML, Llama 3, Phi, gpt-oss: <|…|>; DeepSeek: <｜…｜>; Llama 2 and Mistral: <s>, [INST], <<SYS>>; Gemma:
# <start_of_turn>; pictures: <image>, <__media__>, [img-0] (Ollama), [IMG] (Pixtral); thoughts and tools: <think>.
_MARKS = re.compile(
    r"<(?=[|｜])"
    r"|<(?=<?/?(?:s|bos|eos|pad|unk|mask|image|img|audio|video|think|thinking|sys)>)"
    r"|<(?=/?[A-Za-z]+(?:_[A-Za-z]+)+>|__\w+>)"
    r"|\[(?=/?(?:INST|IMG\w*|SYSTEM_PROMPT|AVAILABLE_TOOLS|TOOL_\w+|THINK|MODEL_SETTINGS|img(?:-\d+)?)\])",
    re.I,
)


def disarmed(text: str) -> str:
    """`text` with a space behind the first character of what could be read as a control token."""
    return _MARKS.sub(lambda mark: mark.group() + " ", text)
