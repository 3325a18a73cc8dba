"""The library for other programs: an OpenAI-style API, searches and documents as JSON, and MCP tools."""
