"""Judge models behind one protocol: OpenAI-compatible servers, Gemini, Anthropic."""
