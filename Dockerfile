# The program of compose.yaml. llama.cpp is compiled for the processor; the models that run on torch use the GPU.
FROM python:3.12-slim

RUN apt-get update \
    && apt-get install --yes --no-install-recommends build-essential cmake git \
    && rm -rf /var/lib/apt/lists/*

WORKDIR /app
COPY . .
RUN python -m rag.bootstrap setup

RUN useradd --create-home --uid 1000 commonplace && install --directory --owner commonplace /library
USER commonplace
ENV PATH=/app/.venv/bin:$PATH RAG_HOME=/library
VOLUME /library
CMD ["rag", "serve", "--no-browser"]
